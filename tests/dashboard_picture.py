"""docs/dashboard.svg: the dashboard's own JSON, drawn with what the functions wrote during the end-to-end tests.

`python -m tests.dashboard_picture`, after `make test`. What AWS itself measures (AWS/Lambda) is missing.
"""

import json
import math
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from tests.dashboard import Metric, of_row, widgets
from tests.template.expansion import ROOT, Stack
from tests.template.sides import CHILD

LOGS = ROOT / "target" / "e2e"
PICTURE = ROOT / "docs" / "dashboard.svg"
# Of a widget's unit.
WIDTH, HEIGHT = 44, 26
# The run is cut into so many spans, which stand for CloudWatch's periods.
SPANS = 30
PERIOD_SECONDS = 300
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
# Names of functions in the expanded template, and what their logs' names hold. The invoker's is that of the stack that
# most tests share.
FUNCTIONS = {
    "<InvokerFunction>": "sagemaker-external-child-InvokerFunction",
    "<ProvisionerFunction>": "ProvisionerFunction",
}

Values = list[float | None]


@dataclass(frozen=True)
class Point:
    millis: int
    value: float


@dataclass(frozen=True)
class Written:
    """Every value of every metric, by function, name and the other dimensions."""

    points: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[Point]]
    start: int
    end: int

    @classmethod
    def read(cls, directory: Path) -> "Written":
        points = defaultdict(list)
        for function, name in FUNCTIONS.items():
            logs = [log for log in directory.glob("function-*.log") if name in log.name]
            # Of several, the one with the most in it.
            for line in _lines(max(logs, key=lambda log: log.stat().st_size)):
                for directive in line["_aws"]["CloudWatchMetrics"]:
                    names = [name for name in directive["Dimensions"][0] if name != "FunctionName"]
                    others = tuple(sorted((name, line[name]) for name in names))
                    for metric in directive["Metrics"]:
                        point = Point(line["_aws"]["Timestamp"], line[metric["Name"]])
                        points[function, metric["Name"], others].append(point)
        times = [point.millis for key, found in points.items() if key[0] == "<InvokerFunction>" for point in found]
        return cls(points, min(times), max(times))

    def values(self, metric: Metric, stat: str) -> Values:
        dimensions = dict(metric.dimensions)
        key = (str(dimensions.pop("FunctionName")), metric.name, tuple(sorted(dimensions.items())))
        spans: list[list[float]] = [[] for _ in range(SPANS)]
        ours = self.points.get(key, []) if metric.namespace == "SageMakerExternal" else []
        for point in ours:
            index = (point.millis - self.start) * SPANS // (self.end - self.start + 1)
            if 0 <= index < SPANS:
                spans[index].append(point.value)
        return [_statistic(sorted(span), stat) for span in spans]

    def open_values(self, metric: Metric) -> Iterator[str]:
        """What there is of the dimension that a SEARCH leaves open."""
        (open_name,) = (name for name, value in metric.dimensions if value is None)
        function = dict(metric.dimensions)["FunctionName"]
        for key in sorted(self.points):
            if key[:2] == (function, metric.name) and dict(key[2]).keys() == {open_name}:
                yield dict(key[2])[open_name]


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    for text in log.read_text(errors="replace").splitlines():
        if text.startswith("{") and '"_aws"' in text:
            yield json.loads(text)


def _statistic(values: list[float], stat: str) -> float | None:
    if stat == "SampleCount":
        return len(values)
    if not values:
        return 0 if stat == "Sum" else None
    if stat == "Sum":
        return sum(values)
    if stat == "Maximum":
        return values[-1]
    return values[math.ceil(float(stat.removeprefix("p")) / 100 * len(values)) - 1]


def series(properties: dict[str, Any], written: Written) -> Iterator[tuple[str, Values]]:
    """The widget's lines: label and values."""
    by_id: dict[str, Values] = {}
    formulas = []
    for row in properties["metrics"]:
        options = row[-1] if isinstance(row[-1], dict) else {}
        stat = options.get("stat", properties["stat"])
        expression = options.get("expression", "")
        if expression and not expression.startswith("SEARCH"):
            formulas.append((options["label"], expression))
            continue
        for metric in of_row(row):
            if expression:
                for value in written.open_values(metric):
                    filled = tuple((name, known or value) for name, known in metric.dimensions)
                    yield value, written.values(Metric(metric.namespace, metric.name, filled), stat)
            elif options.get("visible", True):
                yield options["label"], written.values(metric, stat)
            else:
                by_id[options["id"]] = written.values(metric, stat)
    for label, formula in formulas:
        yield label, [_calculated(formula, {name: found[at] for name, found in by_id.items()}) for at in range(SPANS)]


def _calculated(formula: str, values: dict[str, float | None]) -> float | None:
    """Metric math of this template, of one span. Its functions and operators are Python's, but for these."""
    known = {
        "FILL": lambda value, other: other if value is None else value,
        "MAX": max,
        "PERIOD": lambda _: PERIOD_SECONDS,
    }
    try:
        return eval(formula, {"__builtins__": {}}, {**known, **values})
    except (ZeroDivisionError, TypeError):
        return None


def draw(widget: dict[str, Any], written: Written) -> str:
    x, y = widget["x"] * WIDTH, widget["y"] * HEIGHT
    width, height = widget["width"] * WIDTH - 8, widget["height"] * HEIGHT - 8
    properties = widget["properties"]
    if widget["type"] == "text":
        return _text(x + 2, y + 18, properties["markdown"].lstrip("# "), 15, bold=True)
    parts = [f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" fill="#fff" stroke="#ccc"/>']
    parts.append(_text(x + 8, y + 17, properties["title"], 10.5, bold=True))
    if widget["type"] == "log":
        parts.append(_text(x + 8, y + 34, properties["query"], 9))
        return "".join(parts)
    found = [(label, values) for label, values in series(properties, written) if any(v is not None for v in values)]
    top = max((value for _, values in found for value in values if value is not None), default=0) or 1
    left, bottom, plot = x + 36, y + height - 44, height - 74
    for share in (0, 1):
        level = bottom - share * plot
        parts.append(f'<line x1="{left}" y1="{level}" x2="{x + width - 8}" y2="{level}" stroke="#e5e5e5"/>')
        parts.append(_text(left - 4, level + 3, f"{top * share:.3g}", 8.5, anchor="end"))
    step = (width - 48) / (SPANS - 1)
    for index, (_, values) in enumerate(found):
        points = [(left + at * step, bottom - v / top * plot) for at, v in enumerate(values) if v is not None]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[index % 8]}" stroke-width="1.4"/>')
    at, row = x + 8, y + height - 24
    for index, (label, _) in enumerate(found):
        room = 14 + 5 * len(label)
        if at + room > x + width:
            at, row = x + 8, row + 11
        if row < y + height:
            parts.append(f'<rect x="{at}" y="{row - 6}" width="7" height="7" fill="{COLOURS[index % 8]}"/>')
            parts.append(_text(at + 10, row, label, 8.5))
        at += room
    return "".join(parts)


def _text(x: float, y: float, text: str, size: float, *, bold: bool = False, anchor: str = "start") -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'


def main() -> int:
    if not list(LOGS.glob("function-*InvokerFunction*.log")):
        print(f"nothing was written in {LOGS} yet: run `make test` first", file=sys.stderr)
        return 1
    found = widgets(Stack(**CHILD, CreateDashboard="true").properties("Dashboard")["DashboardBody"])
    written = Written.read(LOGS)
    drawn = "\n".join(draw(widget, written) for widget in found)
    height = max(widget["y"] + widget["height"] for widget in found) * HEIGHT
    PICTURE.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * WIDTH} {height}" '
        f'font-family="system-ui, sans-serif">\n<rect width="100%" height="100%" fill="#f6f6f6"/>\n{drawn}\n</svg>\n'
    )
    print(PICTURE.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
