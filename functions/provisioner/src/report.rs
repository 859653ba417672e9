//! An event's last line, which is its metrics as well.

use std::time::Instant;

use sagemaker_external::line::{ERROR_CODE, FUNCTION_NAME, Line, Metric, View};
use sagemaker_external::telemetry::Level;

use crate::callback::{Answer, Outcome};
use crate::code::Code;
use crate::progress::Progress;
use crate::request::{Envelope, Request};

const VIEWS: [View<'static>; 2] = [
    View { dimensions: &[FUNCTION_NAME], metrics: &["Events", "Failures", "Steps", "Duration"] },
    View { dimensions: &[FUNCTION_NAME, ERROR_CODE], metrics: &["Failures"] },
];

/// One event, from its arrival on.
pub(crate) struct Report<'a> {
    function: &'a str,
    began: Instant,
}

impl<'a> Report<'a> {
    /// By the function's ARN; its seventh part is the name, by which AWS's own metrics of
    /// the function go as well.
    pub(crate) fn begin(function_arn: &'a str) -> Self {
        let function = function_arn.split(':').nth(6).filter(|name| !name.is_empty());
        Self { function: function.unwrap_or("unknown"), began: Instant::now() }
    }

    /// Of an event that nobody can be answered for.
    pub(crate) fn unanswerable(&self, error: &str) {
        let mut line = Line::new(Level::Error, "provisioner", "the event cannot be answered, so nothing is done");
        line.field("error", Some(error));
        self.write(line, Some(Code::EventNotAnswerable), 0);
    }

    /// `is_taken` says whether CloudFormation was told.
    pub(crate) fn end(
        &self,
        request: &Result<Request, String>,
        envelope: &Envelope,
        answer: &Answer,
        progress: &Progress,
        is_taken: bool,
    ) {
        let request = match request {
            Ok(Request::Create { .. }) => "Create",
            Ok(Request::Update { .. }) => "Update",
            Ok(Request::Delete { .. } | Request::Nothing) => "Delete",
            Err(_) => "unknown",
        };
        let (code, note, reason) = match &answer.outcome {
            Outcome::Success { note, .. } => (None, note.as_ref(), None),
            Outcome::Failed { code, reason } => (Some(*code), None, Some(reason)),
        };
        let message = if code.is_none() { "succeeded" } else { "failed" };
        let code = code.or((!is_taken).then_some(Code::AnswerNotTaken));
        let level = if code.is_none() { Level::Info } else { Level::Error };
        let mut line = Line::new(level, "provisioner", message);
        line.field("request", Some(request));
        line.field("logical_id", Some(&envelope.logical_id));
        line.field("id", Some(&answer.physical_id));
        line.field("note", note);
        line.field("reason", reason);
        line.field("answered", Some(is_taken));
        self.write(line, code, progress.steps());
    }

    fn write(&self, mut line: Line, code: Option<Code>, steps: usize) {
        let mut dimensions = vec![(FUNCTION_NAME, self.function)];
        dimensions.extend(code.map(|code| (ERROR_CODE, code.name())));
        let metrics = [
            Metric::count("Events", 1),
            Metric::flag("Failures", code.is_some()),
            Metric::count("Steps", steps),
            Metric::time("Duration", self.began.elapsed()),
        ];
        let seen = if code.is_some() { VIEWS.as_slice() } else { VIEWS.get(..1).unwrap_or_default() };
        line.metrics(&dimensions, seen, &metrics);
        line.write();
    }
}
