"""What a dashboard and alarms show: the metrics they name, out of their JSON."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_SEARCH = re.compile(r"SEARCH\('\{([^,}]+),([^}]+)\} (.*?)', '\w+', \d+\)")
_TERM = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, order=True)
class Metric:
    """A metric by its dimensions. The value of one that a SEARCH leaves open is None."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str | None], ...]

    @property
    def view(self) -> tuple[str, frozenset[str]]:
        """Its name, and which dimensions it is seen by."""
        return self.name, frozenset(name for name, _ in self.dimensions)


def widgets(body: str) -> list[dict[str, Any]]:
    return json.loads(body)["widgets"]


def shown(body: str) -> set[Metric]:
    """The metrics of a dashboard, those that only feed an expression among them."""
    of_widgets = (widget["properties"] for widget in widgets(body) if widget["type"] == "metric")
    return {metric for properties in of_widgets for row in properties["metrics"] for metric in of_row(row)}


def of_row(row: list[Any]) -> Iterator[Metric]:
    """The metrics of one row of a widget's `metrics`."""
    names = [part for part in row if isinstance(part, str)]
    options = row[-1] if isinstance(row[-1], dict) else {}
    if names:
        namespace, name, *pairs = names
        assert len(pairs) % 2 == 0, row
        yield Metric(namespace, name, tuple(sorted(zip(pairs[::2], pairs[1::2], strict=True))))
    else:
        assert options.keys() >= {"expression", "id"}, row
        for namespace, dimensions, terms in _SEARCH.findall(options["expression"]):
            known = dict(_TERM.findall(terms))
            name = known.pop("MetricName")
            yield Metric(namespace, name, tuple(sorted((each, known.get(each)) for each in dimensions.split(","))))


def expressions(body: str) -> Iterator[tuple[str, set[str]]]:
    """Each expression, with the ids that stand beside it."""
    for widget in widgets(body):
        rows = widget["properties"].get("metrics", [])
        options = [row[-1] for row in rows if isinstance(row[-1], dict)]
        for option in options:
            if "expression" in option:
                yield option["expression"], {other["id"] for other in options if "id" in other}


def alarmed(alarm: dict[str, Any]) -> set[Metric]:
    """The metrics that an alarm, as a template or DescribeAlarms has it, looks at."""

    def metric(found: dict[str, Any]) -> Metric:
        dimensions = tuple(sorted((each["Name"], each["Value"]) for each in found["Dimensions"]))
        return Metric(found["Namespace"], found["MetricName"], dimensions)

    if "Metrics" not in alarm:
        return {metric(alarm)}
    return {metric(each["MetricStat"]["Metric"]) for each in alarm["Metrics"] if "MetricStat" in each}
