"""CloudWatch alarms on metric math, which ministack refuses: kept as they are, and evaluated never."""

from typing import Any

from ministack.services.cloudformation import provisioners

_ID_OF_MATH = {"MetricName": "(math)", "Namespace": "(math)"}
# Of one metric; beside Metrics, AWS refuses each of them.
_OF_ONE_METRIC = {"MetricName", "Namespace", "Dimensions", "Period", "Statistic", "ExtendedStatistic", "Unit"}


def install() -> None:
    """Put the difference in place."""
    original = provisioners._cw_metric_alarm_record

    def record(name: str, properties: dict[str, Any]) -> dict[str, Any]:
        metrics = properties.get("Metrics")
        if not metrics:
            return original(name, properties)
        both = _OF_ONE_METRIC & properties.keys()
        if both:
            raise ValueError(f"an alarm has Metrics or {', '.join(sorted(both))}, not both")
        if sum(bool(metric.get("ReturnData", True)) for metric in metrics) != 1:
            raise ValueError("exactly one of an alarm's Metrics returns data")
        alarm = original(name, {**{key: properties[key] for key in properties if key != "Metrics"}, **_ID_OF_MATH})
        return {**alarm, "Metrics": metrics}

    provisioners._cw_metric_alarm_record = record
