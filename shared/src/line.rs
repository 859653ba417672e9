//! A line of the log that is a document of the CloudWatch embedded metric format as
//! well: what happened is written once, and CloudWatch takes the metrics out of it
//! ("Specification: Embedded metric format", Amazon CloudWatch user guide).
//!
//! Written by hand and not through `tracing`, which has no nested members, and because
//! metrics have to be written whatever the log level is: where the level leaves the
//! line out, it carries the metrics alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime as Rfc3339};

use crate::telemetry::{self, Level};

/// The namespace of every metric.
pub const NAMESPACE: &str = "SageMakerExternal";
/// The dimension by which a stack's metrics are told from another's.
pub const FUNCTION_NAME: &str = "FunctionName";
/// The dimension of a closed set: the codes of docs/errors.md.
pub const ERROR_CODE: &str = "ErrorCode";

/// CloudWatch's units, as far as they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// A time.
    Milliseconds,
    /// A size.
    Bytes,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Bytes => "Bytes",
        }
    }
}

/// One value. A metric without a value in this line is left out of the list.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// The metric's name.
    pub name: &'static str,
    /// What its value counts.
    pub unit: Unit,
    /// The value.
    pub value: f64,
}

impl Metric {
    /// So many things.
    pub fn count(name: &'static str, value: usize) -> Self {
        Self { name, unit: Unit::Count, value: value as f64 }
    }

    /// 1 or 0, so that its average is a rate.
    pub fn flag(name: &'static str, value: bool) -> Self {
        Self::count(name, usize::from(value))
    }

    /// So many bytes.
    pub fn bytes(name: &'static str, value: usize) -> Self {
        Self { name, unit: Unit::Bytes, value: value as f64 }
    }

    /// To a microsecond: a function's own part is less than a millisecond.
    pub fn time(name: &'static str, value: Duration) -> Self {
        Self { name, unit: Unit::Milliseconds, value: value.as_micros() as f64 / 1_000.0 }
    }
}

/// Metrics of the line seen by some of its dimensions: each of them is a metric of its
/// own in CloudWatch, and costs as one.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Names of the line's dimensions.
    pub dimensions: &'a [&'static str],
    /// Names of the line's metrics.
    pub metrics: &'a [&'static str],
}

/// A line in the making.
pub struct Line {
    text: Vec<u8>,
    /// Whether the log level lets the fields through.
    is_shown: bool,
}

impl Line {
    /// Begins with `timestamp`, `level`, `message` and `target`, as tracing's lines do.
    ///
    /// Lambda drops lines below the function's log level, and takes one without a level
    /// for INFO ("Log-level filtering", AWS Lambda developer guide). So metrics alone go
    /// out under the function's own level.
    pub fn new(level: Level, target: &str, message: &str) -> Self {
        let is_shown = telemetry::is_shown(level);
        let (level, message) = if is_shown { (level.name(), message) } else { (telemetry::quietest(), "metrics") };
        let mut line = Self { text: Vec::with_capacity(1_536), is_shown };
        line.text.extend_from_slice(b"{\"timestamp\":\"");
        let mut time = String::with_capacity(32);
        // A clock before 1970 is all that could fail; the time is then empty.
        let _ = Rfc3339.format_time(&mut Writer::new(&mut time));
        line.text.extend_from_slice(time.as_bytes());
        line.text.push(b'"');
        line.member("level", level);
        line.member("message", message);
        line.field("target", Some(target));
        line
    }

    /// A field of the log; nothing if there is no value, or the level leaves it out.
    pub fn field(&mut self, name: &'static str, value: Option<impl Serialize>) {
        if let Some(value) = value.filter(|_| self.is_shown) {
            self.member(name, value);
        }
    }

    /// The metrics, by each view that has a value for at least one of its metrics. The
    /// views name only dimensions that are given here.
    pub fn metrics(&mut self, dimensions: &[(&'static str, &str)], views: &[View<'_>], metrics: &[Metric]) {
        for (name, value) in dimensions {
            self.member(name, value);
        }
        for metric in metrics {
            self.number(metric.name, metric.value);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.text.extend_from_slice(b",\"_aws\":{\"Timestamp\":");
        self.json(u64::try_from(now.as_millis()).unwrap_or_default());
        self.text.extend_from_slice(b",\"CloudWatchMetrics\":[");
        for view in views {
            self.view(view, metrics);
        }
        self.text.extend_from_slice(b"]}");
    }

    /// Ends the line and writes it, in one piece.
    pub fn write(mut self) {
        self.text.extend_from_slice(b"}\n");
        telemetry::write(&self.text);
    }

    fn view(&mut self, view: &View<'_>, metrics: &[Metric]) {
        let mut seen = metrics.iter().filter(|metric| view.metrics.contains(&metric.name)).peekable();
        if seen.peek().is_none() {
            return;
        }
        if self.text.ends_with(b"}") {
            self.text.push(b',');
        }
        self.text.extend_from_slice(b"{\"Namespace\":\"");
        self.text.extend_from_slice(NAMESPACE.as_bytes());
        self.text.extend_from_slice(b"\",\"Dimensions\":[");
        self.json(view.dimensions);
        self.text.extend_from_slice(b"],\"Metrics\":[");
        for (index, metric) in seen.enumerate() {
            self.text.extend_from_slice(if index == 0 { b"{\"Name\":\"" } else { b",{\"Name\":\"" });
            self.text.extend_from_slice(metric.name.as_bytes());
            self.text.extend_from_slice(b"\",\"Unit\":\"");
            self.text.extend_from_slice(metric.unit.name().as_bytes());
            self.text.extend_from_slice(b"\"}");
        }
        self.text.extend_from_slice(b"]}");
    }

    fn member(&mut self, name: &str, value: impl Serialize) {
        self.text.extend_from_slice(b",\"");
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"\":");
        self.json(value);
    }

    /// Whole numbers without a point, which makes the line shorter.
    fn number(&mut self, name: &str, value: f64) {
        if value.fract() == 0.0 && (0.0..9e15).contains(&value) {
            self.member(name, value as u64);
        } else {
            self.member(name, value);
        }
    }

    fn json(&mut self, value: impl Serialize) {
        // Strings and numbers into memory: nothing of it can fail.
        let _ = serde_json::to_writer(&mut self.text, &value);
    }
}

/// To a tenth of a millisecond.
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(mut line: Line) -> Value {
        line.text.extend_from_slice(b"}");
        serde_json::from_slice(&line.text).expect("JSON")
    }

    #[test]
    fn a_line_is_one_json_object_whatever_the_values() {
        let mut line = Line::new(Level::Info, "target", "said \"so\"");
        line.field("text", Some("a\n\"b\"\u{1}é"));
        line.field("absent", None::<&str>);
        line.metrics(&[(FUNCTION_NAME, "f\"")], &[], &[]);
        assert!(!line.text.contains(&b'\n'), "one line");
        let read = read(line);
        assert_eq!((&read["level"], &read["message"]), (&json!("INFO"), &json!("said \"so\"")));
        assert_eq!((&read["text"], read.get("absent")), (&json!("a\n\"b\"\u{1}é"), None));
        assert_eq!((&read["FunctionName"], &read["_aws"]["CloudWatchMetrics"]), (&json!("f\""), &json!([])));
        assert!(read["timestamp"].as_str().is_some_and(|time| time.ends_with('Z') && time.len() > 19));
    }

    #[test]
    fn a_view_lists_what_has_a_value_and_an_empty_one_is_left_out() {
        let mut line = Line::new(Level::Info, "target", "x");
        let views = [
            View { dimensions: &[ERROR_CODE], metrics: &["Absent"] },
            View { dimensions: &[FUNCTION_NAME], metrics: &["Absent", "Time", "Count"] },
            View { dimensions: &[FUNCTION_NAME, ERROR_CODE], metrics: &["Count"] },
        ];
        let metrics = [Metric::count("Count", 3), Metric::time("Time", Duration::from_nanos(500_999))];
        line.metrics(&[(FUNCTION_NAME, "f"), (ERROR_CODE, "e")], &views, &metrics);
        let read = read(line);
        assert_eq!((&read["Count"], &read["Time"]), (&json!(3), &json!(0.5)));
        let count = json!({ "Name": "Count", "Unit": "Count" });
        let time = json!({ "Name": "Time", "Unit": "Milliseconds" });
        assert_eq!(
            read["_aws"]["CloudWatchMetrics"],
            json!([
                { "Namespace": NAMESPACE, "Dimensions": [["FunctionName"]], "Metrics": [count, time] },
                { "Namespace": NAMESPACE, "Dimensions": [["FunctionName", "ErrorCode"]], "Metrics": [count] },
            ])
        );
    }

    #[test]
    fn times_are_told_to_a_tenth() {
        assert_eq!(milliseconds(Duration::from_micros(1_249)), 1.2);
        assert_eq!(milliseconds(Duration::from_secs(2)), 2_000.0);
    }
}
