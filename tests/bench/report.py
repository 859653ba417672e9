"""The report: what was measured, side by side, and a pass or a miss for each target."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Results = dict[str, Any]

NAMES = {
    "invoker": "invoker, as packaged",
    "floor": "floor: two round trips, no SDK",
    "signed": "floor, signed as AWS asks",
    "noop": "no-op",
    "kept": "Python, clients kept",
    "recipe": "Python, as in the recipe",
}
KB, MB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Target:
    name: str
    asked: str
    found: str
    # None: this build or this run has nothing to measure it on.
    met: bool | None

    @property
    def verdict(self) -> str:
        return {True: "pass", False: "**miss**", None: "not in this build"}[self.met]


@dataclass(frozen=True)
class Ratio:
    median: float
    # The middle half of the rounds; nothing where there were no rounds.
    middle: tuple[float, float] | None = None

    def __str__(self) -> str:
        middle = f" ({self.middle[0]:.2f}–{self.middle[1]:.2f})" if self.middle else ""
        return f"{self.median:.2f} ×{middle}"


def report(results: Results) -> str:
    """The whole report as Markdown."""
    parts = [_header(results)]
    if not results["quick"]:
        parts.append(_targets(results))
    parts += [_warm(results), _concurrent(results), _cold(results), _streams(results), _rest(results)]
    if results["provisioner"]:
        parts.append(_provisioner(results))
    return "\n\n".join(parts) + "\n"


def targets(results: Results) -> list[Target]:
    """Every target of the project, in one run's figures."""
    found = [
        _at_most("1 KB against the floor", 1.5, _ratios(results, KB, "invoker", "floor")),
        _at_most("1 MB against the floor", 1.3, _ratios(results, MB, "invoker", "floor")),
    ]
    for name, least in (("recipe", 12), ("kept", 5.5)):
        title = f"1 KB: faster than {NAMES[name]}"
        found.append(_at_least(title, least, _ratios(results, KB, name, "invoker")))
    cold = {entry["contestant"]: entry["p50"] for entry in _measured(results, "cold") if entry["transport"] == "tls"}
    found.append(
        _at_most("spawn to first answer over TLS, against the no-op's", 3, Ratio(cold["invoker"] / cold["noop"]))
    )
    slower = Ratio(cold["recipe"] / cold["invoker"]) if "recipe" in cold else None
    found.append(_at_least(f"the same, faster than {NAMES['recipe']}", 50, slower))
    found += _memory(results)
    found += [
        _size(f"zip of the {name}", 3.0, results["zips"][name] / MB)
        for name in ("invoker", "provisioner")
        if name in results["zips"]
    ]
    soak = results["measured"]["soak"]
    grown = (soak["end_kib"] - soak["start_kib"]) / 1024
    found.append(_size(f"growth over {soak['requests']:,} requests", 1.0, grown))
    late = soak["late_connections"] + sum(
        entry["late_connections"] for entry in _measured(results, "warm") if entry["contestant"] == "invoker"
    )
    found.append(Target("connections opened after the first request", "0", str(late), late == 0))
    reuse = results["measured"]["reuse"]
    ratio = Ratio((reuse["on"] - reuse["noop"]) / (reuse["off"] - reuse["noop"])) if reuse else None
    found.append(_at_most("1 KB with credential reuse, against without", 0.7, ratio))
    return found


def _memory(results: Results) -> list[Target]:
    peaks = {
        entry["bytes"]: entry["peak_kib"] / 1024
        for entry in _measured(results, "warm")
        if entry["contestant"] == "invoker" and entry["transport"] == "plain"
    }
    small = peaks.pop(KB)
    allowed = {size: size * 4 / MB + 12 for size in peaks}
    asked = ", ".join(f"{_bytes(size)}: ≤ {allowed[size]:.1f} MB" for size in peaks)
    found = ", ".join(f"{peak:.1f} MB" for peak in peaks.values())
    within = all(peak <= allowed[size] for size, peak in peaks.items())
    return [_size("peak memory at 1 KB", 12.0, small), Target("peak memory: body × 4 + 12 MB", asked, found, within)]


def _ratios(results: Results, size: int, over: str, under: str, transport: str = "plain") -> Ratio | None:
    """How much `over` takes of what `under` does, both net of the no-op, round by round."""
    entries = [warm(results, name, size, transport) for name in (over, under, "noop")]
    if any(entry is None for entry in entries):
        return None
    rounds = zip(*(entry["rounds"] for entry in entries), strict=True)
    # A round whose no-op met a busy machine has no ratio.
    ratios = [(a - noop) / (b - noop) for a, b, noop in rounds if b > noop]
    low, median, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3 or [math.nan] * 3
    return Ratio(median, (low, high))


def warm(results: Results, contestant: str, size: int, transport: str = "plain") -> Any:
    """The entry of one contestant at one size, if it was measured."""
    key = (contestant, size, transport)
    entries = _measured(results, "warm")
    return next((e for e in entries if (e["contestant"], e["bytes"], e["transport"]) == key), None)


def _measured(results: Results, what: str) -> list[Any]:
    return results["measured"][what]


def _at_most(name: str, limit: float, ratio: Ratio | None) -> Target:
    return _target(name, f"≤ {limit} ×", ratio, ratio is not None and ratio.median <= limit)


def _at_least(name: str, limit: float, ratio: Ratio | None) -> Target:
    return _target(name, f"≥ {limit} ×", ratio, ratio is not None and ratio.median >= limit)


def _target(name: str, asked: str, ratio: Ratio | None, met: bool) -> Target:
    return Target(name, asked, "–", None) if ratio is None else Target(name, asked, str(ratio), met)


def _size(name: str, limit: float, found: float) -> Target:
    return Target(name, f"≤ {limit:g} MB", f"{found:.2f} MB", found <= limit)


def _header(results: Results) -> str:
    machine = results["machine"]
    title = "# Smoke of the bench: a few rounds, nothing measured" if results["quick"] else "# Bench"
    busy = f"load average {machine['load_before']:.1f} before and {machine['load_after']:.1f} after"
    return (
        f"{title}\n\n"
        f"{results['date']}, commit {results['commit']}. {machine['processor']}, {machine['cores']} cores, "
        f"{machine['system']}; {busy}. Python {machine['python']}, boto3 {machine['boto3'] or 'not installed'}.\n\n"
        "Everything ran in one go on loopback, against a Runtime API and a backend that answer at once; the "
        "contestants took turns. Times of this machine say little; ratios are what counts. Net is the median less the "
        "no-op's. A ratio of warm figures is taken in each round, of that round's nets; it is the median of these, "
        "with the middle half of them in brackets. 1 MB is 1024 × 1024 bytes."
    )


def _targets(results: Results) -> str:
    rows = [(target.name, target.asked, target.found, target.verdict) for target in targets(results)]
    note = ""
    signed = [_ratios(results, size, "invoker", "signed") for size in (KB, MB)]
    if all(signed):
        note = (
            "\n\nThe floor does not sign, and AWS answers nothing unsigned. Against the floor with signatures: "
            f"1 KB {signed[0]}, 1 MB {signed[1]}."
        )
    return "## Targets\n\n" + table(("target", "asked", "found", ""), rows, left=1) + note


def _warm(results: Results) -> str:
    parts = ["## Warm requests, one environment"]
    cases = list(dict.fromkeys((e["bytes"], e["transport"]) for e in _measured(results, "warm")))
    for size, transport in cases:
        rows = []
        for name in NAMES:
            if entry := warm(results, name, size, transport):
                net = entry["p50"] - warm(results, "noop", size, transport)["p50"]
                ratio = _ratios(results, size, name, "floor", transport)
                rows.append(
                    (
                        NAMES[name],
                        _micros(entry["p50"]),
                        _micros(entry["p99"]),
                        _micros(net) if name != "noop" else "",
                        str(ratio) if name not in ("noop", "floor") else "",
                        _micros(entry["processor"]),
                        f"{entry['peak_kib'] / 1024:.1f} MB",
                        str(entry["late_connections"]),
                        f"{entry['samples']:,}",
                    )
                )
        head = ("", "p50", "p99", "net", "net, × the floor's", "processor", "peak memory", "late connections", "n")
        over = " over TLS" if transport == "tls" else ""
        parts.append(f"A body of {_bytes(size)}, answered with as much{over}:\n\n" + table(head, rows, left=1))
    return "\n\n".join(parts)


def _concurrent(results: Results) -> str:
    entries = {entry["contestant"]: entry for entry in _measured(results, "concurrent")}
    rows = [
        (
            NAMES[name],
            f"{entries[name]['per_second']:,.0f}",
            _micros(entries[name]["p50"]),
            _micros(entries[name]["p99"]),
            f"{entries['invoker']['per_second'] / entries[name]['per_second']:.2f} ×",
        )
        for name in NAMES
        if name in entries
    ]
    head = ("", "requests a second", "p50", "p99", "the invoker's rate")
    return f"## {entries['invoker']['environments']} environments at once, 1 KB\n\n" + table(head, rows, left=1)


def _cold(results: Results) -> str:
    entries = {(entry["contestant"], entry["transport"]): entry for entry in _measured(results, "cold")}
    rows = []
    for name in NAMES:
        if (name, "tls") in entries:
            tls, plain = entries[name, "tls"], entries[name, "plain"]
            ratios = [tls["p50"] / entries["noop", "tls"]["p50"], tls["p50"] / entries["invoker", "tls"]["p50"]]
            rows.append(
                (
                    NAMES[name],
                    _millis(plain["p50"]),
                    _millis(tls["p50"]),
                    _millis(tls["p99"]),
                    *(f"{ratio:.2f} ×" for ratio in ratios),
                    str(tls["samples"]),
                )
            )
    head = ("", "plain, p50", "TLS, p50", "TLS, p99", "TLS, × the no-op's", "TLS, × the invoker's", "n")
    return "## Cold: from spawn to first answer, 1 KB\n\n" + table(head, rows, left=1)


def _streams(results: Results) -> str:
    rows = [
        (
            NAMES[entry["contestant"]],
            entry["operation"],
            f"{entry['bytes'] / MB:.0f} MB",
            _micros(entry["first_byte"]),
            f"{entry['megabytes_per_second']:,.0f} MB/s",
            f"{entry['peak_kib'] / 1024:.1f} MB",
        )
        for entry in _measured(results, "streams")
    ]
    operation = "InvokeEndpointWithResponseStream"
    if not any(e["contestant"] == "invoker" and e["operation"] == operation for e in _measured(results, "streams")):
        rows.append((NAMES["invoker"], operation, "not in this build", "", "", ""))
    head = ("", "operation", "answer", "first byte", "the rest", "peak memory")
    note = "The model makes its second part only once the first has been delivered. Python on Lambda cannot stream."
    return f"## Streamed answers\n\n{note}\n\n" + table(head, rows, left=2)


def _rest(results: Results) -> str:
    soak, reuse = results["measured"]["soak"], results["measured"]["reuse"]
    lines = [
        f"- Soak: {soak['requests']:,} requests of 1 KB to one environment of the invoker; resident memory "
        f"{soak['start_kib'] / 1024:.2f} MB at the start, {soak['end_kib'] / 1024:.2f} MB at the end, "
        f"peak {soak['peak_kib'] / 1024:.2f} MB; {soak['late_connections']} connections after the first request.",
        "- Credential reuse: not in this build."
        if reuse is None
        else f"- Credential reuse, 1 KB: p50 {_micros(reuse['on'])} with it, {_micros(reuse['off'])} without, no-op "
        f"{_micros(reuse['noop'])}; {reuse['assumed_with_reuse']} AssumeRole for {reuse['samples']:,} requests.",
    ]
    if results["zips"]:
        sizes = ", ".join(f"{name} {size / MB:.2f} MB" for name, size in results["zips"].items())
        lines.append(f"- Zips, as deployed (Python with its own boto3, which Lambda's runtime has as well): {sizes}.")
    return "## Soak, reuse, sizes\n\n" + "\n".join(lines)


def _provisioner(results: Results) -> str:
    rows = [
        (step["step"], str(step["reads"]), str(step["writes"]), _millis(step["seconds"] * 1e6))
        for step in results["provisioner"]
    ]
    head = ("", "reads of IAM", "writes", "CloudFormation waits, p50")
    return "## The provisioner, on the local cloud\n\n" + table(head, rows, left=1)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """A Markdown table; the first `left` columns are text, the others numbers."""
    rule = [":--" if column < left else "--:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def _bytes(size: int) -> str:
    return f"{size // MB} MB" if size >= MB else f"{size // KB} KB"


def _micros(value: float) -> str:
    return f"{value:,.0f} µs" if value < 10_000 else _millis(value)


def _millis(value: float) -> str:
    return f"{value / 1000:,.1f} ms"
