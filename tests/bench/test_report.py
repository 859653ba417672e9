"""The report's arithmetic, on figures made up for it."""

import pytest

from tests.bench import cost, report
from tests.bench.report import KB, MB

SIZES = (KB, 100 * KB, MB, 4 * MB)


def entry(contestant: str, size: int, transport: str, p50: float) -> dict:
    return {
        "contestant": contestant,
        "transport": transport,
        "bytes": size,
        "p50": p50,
        "p99": 2 * p50,
        "samples": 100,
        "rounds": [p50] * 10,
        "processor": p50,
        "peak_kib": 8 * 1024,
        "late_connections": 0,
    }


def results(**p50: float) -> dict:
    """A whole run in which each contestant took the given microseconds, warm and cold, at every size."""
    return {
        "quick": False,
        "date": "2026-11-24 06:00 UTC",
        "commit": "abc",
        "machine": {
            "processor": "P",
            "cores": 2,
            "system": "S",
            "python": "3.11",
            "boto3": None,
            "load_before": 0.0,
            "load_after": 0.0,
        },
        "measured": {
            "warm": [entry(name, size, "plain", value) for size in SIZES for name, value in p50.items()]
            + [entry(name, KB, "tls", value) for name, value in p50.items()],
            "cold": [
                {"contestant": name, "transport": transport, "p50": value, "p99": value, "samples": 5}
                for name, value in p50.items()
                for transport in ("plain", "tls")
            ],
            "concurrent": [
                {"contestant": name, "environments": 8, "p50": 1.0, "p99": 1.0, "samples": 1, "per_second": 1.0}
                for name in p50
            ],
            "streams": [],
            "soak": {"requests": 50_000, "start_kib": 8000, "end_kib": 8000, "peak_kib": 8000, "late_connections": 0},
            "reuse": None,
        },
        "zips": {"invoker": 3 * MB, "provisioner": 3 * MB},
        "provisioner": [],
    }


def verdicts(run: dict) -> dict[str, bool | None]:
    return {target.name: target.met for target in report.targets(run)}


def test_ratios_are_net_of_the_noop():
    # Net: floor 100, invoker 150 (1.5 ×), recipe 1800 (12 ×), kept 825 (5.5 ×).
    run = results(invoker=250, floor=200, signed=210, noop=100, recipe=1900, kept=925)
    found = {target.name: target.found for target in report.targets(run)}
    assert found["1 KB against the floor"] == "1.50 × (1.50–1.50)"
    met = verdicts(run)
    assert met["1 KB against the floor"] is True
    assert met["1 MB against the floor"] is False
    assert met["1 KB: faster than Python, as in the recipe"] is True
    assert met["1 KB: faster than Python, clients kept"] is True
    assert met["spawn to first answer over TLS, against the no-op's"] is True


def test_a_busy_round_does_not_decide():
    run = results(invoker=250, floor=200, noop=100)
    report.warm(run, "floor", KB)["rounds"][0] = 100_000
    report.warm(run, "noop", KB)["rounds"][1] = 100_000
    assert verdicts(run)["1 KB against the floor"] is True


@pytest.mark.parametrize(
    ("target", "change"),
    [
        ("peak memory at 1 KB", lambda run: report.warm(run, "invoker", KB).update(peak_kib=12 * 1024 + 1)),
        (
            "peak memory: body × 4 + 12 MB",
            lambda run: report.warm(run, "invoker", 4 * MB).update(peak_kib=28 * 1024 + 1),
        ),
        ("zip of the provisioner", lambda run: run["zips"].update(provisioner=3 * MB + 1)),
        ("growth over 50,000 requests", lambda run: run["measured"]["soak"].update(end_kib=9025)),
        (
            "connections opened after the first request",
            lambda run: report.warm(run, "invoker", MB).update(late_connections=1),
        ),
    ],
)
def test_each_limit_is_a_limit(target, change):
    run = results(invoker=250, floor=200, noop=100)
    assert verdicts(run)[target] is True
    change(run)
    assert verdicts(run)[target] is False


def test_what_was_not_measured_neither_passes_nor_misses():
    run = results(invoker=250, floor=200, noop=100)
    met = verdicts(run)
    assert met["1 KB: faster than Python, as in the recipe"] is None
    assert met["1 KB with credential reuse, against without"] is None
    text = report.report(run)
    assert "| 1 KB with credential reuse, against without | ≤ 0.7 × | – | not in this build |" in text


def test_cost_follows_processor_and_waiting():
    (variant,) = cost.variants(results(invoker=1000, floor=200, noop=100))
    # 1 ms of a vCPU is 13.8 ms at 128 MB; 120 ms of waiting; rounded up.
    assert variant.billed_ms == 134
    assert variant.duration == pytest.approx(0.134 * 0.125 * cost.LAMBDA_GB_SECOND)
    assert cost.plot(results(invoker=1000, floor=200, noop=100)).count("<rect") == 1 + 3 + 3
