//! What a request must have come to, and whether it has.

use std::time::Instant;

use crate::backend::{OWN_KEY, OWN_SECRET, OWN_TOKEN, Trace};
use crate::model::payload;
use crate::plan::{Model, Plan, Route, Sts};
use crate::runtime_api::{Answer, Outcome};
use crate::sts::{EXTERNAL_ID, PARENT};

/// How a request may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    Whole,
    /// An answer that began and is marked as cut.
    Cut,
    Error(u16, &'static str),
}

const THROTTLED: End = End::Error(429, "ThrottlingException");
const UNAVAILABLE: End = End::Error(503, "ServiceUnavailable");
const FAULT: End = End::Error(500, "InternalFailure");
const DENIED: End = End::Error(403, "AccessDeniedException");
const LATE: End = End::Error(504, "GatewayTimeoutException");
/// The invoker reads answers of up to this length before it passes them on.
const GATHERED_MAX: usize = 1 << 20;
/// The model may have run.
const BROKEN: End = End::Error(530, "InternalDependencyException");

/// What came of one request.
#[derive(Debug, Default)]
pub struct Verdict {
    pub end: Option<End>,
    /// A request that was sent on a connection that had died, told as such.
    pub is_lost: bool,
    pub hangs: bool,
    pub second_call: bool,
    /// What was wrong.
    pub wrong: Vec<String>,
}

/// What is known when a request has ended.
pub struct Case<'a> {
    pub plans: &'a [Plan],
    pub plan: &'a Plan,
    pub trace: Trace,
    pub outcome: Outcome,
    /// When Lambda would have ended the function.
    pub ends: Instant,
    pub reuses: bool,
    /// The request before may have left a connection that looks alive and is not.
    pub is_disturbed: bool,
}

impl Case<'_> {
    pub fn judge(mut self) -> Verdict {
        let mut verdict = Verdict { wrong: std::mem::take(&mut self.trace.wrong), ..Verdict::default() };
        verdict.second_call = self.trace.model_calls > 1;
        let answer = match &self.outcome {
            Outcome::Answered(answer) => answer,
            Outcome::Hang => {
                verdict.hangs = true;
                return verdict;
            }
            Outcome::Wrong(why) => {
                verdict.wrong.push(why.clone());
                return verdict;
            }
        };
        verdict.hangs = answer.ended > self.ends;
        let mut wrong = |holds: bool, what: &str| {
            if !holds {
                verdict.wrong.push(what.to_owned());
            }
        };
        let end = self.end_of(answer);
        let expected = self.expected();
        let lost = self.is_disturbed && end == Some(BROKEN);
        wrong(
            end.is_some_and(|end| expected.contains(&end)) || lost,
            &format!("{end:?} instead of one of {expected:?}: {}", shown(answer)),
        );
        wrong(self.keys_are_the_callers(), "the keys of another caller, endpoint or request");
        let reached = self.trace.model_calls > 0;
        wrong(reached == self.reaches_the_model() || (lost && !reached), "a model call too many or too few");
        wrong(no_secret(answer, end), "a secret or another's data in the answer");
        verdict.is_lost = lost && !expected.contains(&BROKEN);
        verdict.end = end;
        verdict
    }

    /// What the answer is, if it is anything that an answer may be.
    fn end_of(&self, answer: &Answer) -> Option<End> {
        if !matches!(answer.status, 200 | 202) {
            let kinds = [THROTTLED, UNAVAILABLE, FAULT, DENIED, LATE, BROKEN];
            let refusals = REFUSALS.map(|(status, code)| End::Error(status, code));
            let of = |end: &&End| matches!(end, End::Error(status, code) if *status == answer.status && answer.header("x-amzn-errortype") == Some(code));
            let told = serde_json::from_slice::<serde_json::Value>(&answer.body);
            let is_told = told.is_ok_and(|body| body.get("Message").is_some_and(serde_json::Value::is_string));
            return kinds.iter().chain(&refusals).find(of).copied().filter(|_| is_told && !answer.is_cut);
        }
        let payload = payload(self.plan);
        let common = payload.iter().zip(&answer.body).take_while(|(one, other)| one == other).count();
        let rest = answer.body.get(common..).unwrap_or_default();
        let is_own = answer.header("x-amzn-sagemaker-custom-attributes") == Some(&self.plan.attributes())
            && answer.header("x-amzn-requestid") == Some(&format!("model-{}", self.plan.number))
            && answer.status == if self.plan.route == Route::Async { 202 } else { 200 };
        // Between two frames the cut is told in a frame of its own.
        let told =
            self.plan.route == Route::Stream && rest.windows(21).any(|window| window == b"InternalStreamFailure");
        match (is_own, answer.is_cut, told) {
            (true, false, false) if common == payload.len() && rest.is_empty() => Some(End::Whole),
            (true, true, false) if rest.is_empty() => Some(End::Cut),
            (true, false, true) => Some(End::Cut),
            _ => None,
        }
    }

    /// The ends that agree with what the backend did.
    fn expected(&self) -> Vec<End> {
        match self.trace.sts.last() {
            None if !self.reuses => Vec::new(),
            None | Some(Sts::Well | Sts::Slow) => self.expected_of_model(),
            Some(Sts::ThrottledOnce | Sts::Throttled) => vec![THROTTLED],
            Some(Sts::ResetOnce | Sts::Reset | Sts::FailingOnce | Sts::Failing | Sts::CutOnce) => vec![UNAVAILABLE],
            // No credentials came, whosever fault that is.
            Some(Sts::Garbage) => vec![UNAVAILABLE, FAULT],
            Some(Sts::Denied) => vec![DENIED],
            Some(Sts::Silent) => vec![LATE],
        }
    }

    fn expected_of_model(&self) -> Vec<End> {
        match self.plan.model {
            Model::Well
            | Model::Dripping
            | Model::Interim
            | Model::Old
            | Model::ClosesAfter
            | Model::HalfClosesAfter
            | Model::Surplus => vec![End::Whole],
            // Of an announced length, so that a short answer of no stream is read before it is passed on.
            Model::Truncated | Model::SilentMidway | Model::ResetMidway if self.is_gathered() => vec![BROKEN],
            Model::TruncatedChunks | Model::WrongChunk if self.plan.route == Route::Async => vec![BROKEN],
            Model::Truncated | Model::TruncatedChunks | Model::WrongChunk | Model::SilentMidway => vec![End::Cut],
            // The kernel may drop what was not read before the reset.
            Model::ResetMidway => vec![End::Cut, BROKEN],
            Model::ResetUnread | Model::ResetRead | Model::ClosesUnanswered | Model::Garbage | Model::TwoLengths => {
                vec![BROKEN]
            }
            Model::Silent => vec![BROKEN],
            // Its type is in its head, which comes whole.
            Model::TruncatedError => vec![FAULT],
            Model::Refusal(_, "ThrottlingException") => vec![THROTTLED],
            // Kept keys are forgotten, and the caller may try again; new ones are our fault.
            Model::Refusal(_, "ExpiredTokenException") if self.trace.sts.is_empty() => vec![UNAVAILABLE],
            Model::Refusal(_, "ExpiredTokenException") => vec![FAULT],
            Model::Refusal(status, code) => vec![End::Error(status, code)],
            Model::Page(_) => vec![BROKEN],
        }
    }

    /// Whether the invoker reads the answer to its end before it passes any of it on, so that
    /// no client whose SDK reads bodies within its retries sends the request again.
    fn is_gathered(&self) -> bool {
        match self.plan.route {
            Route::Invoke => payload(self.plan).len() <= GATHERED_MAX,
            Route::Stream => false,
            Route::Async => true,
        }
    }

    fn reaches_the_model(&self) -> bool {
        matches!(self.trace.sts.last(), None | Some(Sts::Well | Sts::Slow))
    }

    /// Those of this request, or kept ones of an earlier request of the same caller that
    /// allow the same.
    fn keys_are_the_callers(&self) -> bool {
        let Some(number) = self.trace.keys_of else { return true };
        if number == self.plan.number {
            return true;
        }
        let given = usize::try_from(number).ok().and_then(|number| self.plans.get(number));
        self.reuses
            && given.is_some_and(|given| {
                let same = |plan: &Plan| (plan.caller, plan.endpoint, plan.route);
                number < self.plan.number && same(given) == same(self.plan)
            })
    }
}

/// The service's own errors, which pass as they are.
const REFUSALS: [(u16, &str); 3] = [(424, "ModelError"), (429, "ModelNotReadyException"), (400, "ValidationError")];

/// Nothing of STS, of the function's own credentials or of the parent is in any answer,
/// and nothing of bodies and attributes in an error.
fn no_secret(answer: &Answer, end: Option<End>) -> bool {
    let text = [&answer.prelude[..], b"\n", &answer.body].concat();
    let role = format!("{PARENT}:role");
    let always = [EXTERNAL_ID, OWN_KEY, OWN_SECRET, OWN_TOKEN, "secret-canary", "token-canary", "hidden-canary", &role];
    let in_errors: &[&str] = if matches!(end, Some(End::Error(..))) { &["canary"] } else { &[] };
    captured::leaks(&String::from_utf8_lossy(&text), always.into_iter().chain(in_errors.iter().copied())).is_empty()
}

fn shown(answer: &Answer) -> String {
    let body: String = String::from_utf8_lossy(&answer.body).chars().take(200).collect();
    format!("{} {body} ({} bytes)", String::from_utf8_lossy(&answer.prelude), answer.body.len())
}

/// Whether this request may leave a connection that is just being closed to the next
/// one. What is closed while the process is frozen is no excuse: it is seen on thaw.
pub fn disturbs(plan: &Plan) -> bool {
    matches!(plan.model, Model::ClosesAfter | Model::HalfClosesAfter | Model::Surplus | Model::Old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    /// A plain call of InvokeEndpoint that meets `model`.
    fn plans(model: Model) -> Vec<Plan> {
        let plan = |number: u64| Plan {
            number,
            caller: number % 2,
            endpoint: "iris",
            route: Route::Invoke,
            sent: 100,
            answered: 200,
            sts: Sts::Well,
            model,
            freeze: None,
        };
        (0..4).map(plan).collect()
    }

    fn trace() -> Trace {
        Trace { sts: vec![Sts::Well], model_calls: 1, keys_of: Some(2), wrong: Vec::new() }
    }

    fn answer(plan: &Plan) -> Answer {
        let headers = json!({
            "x-amzn-sagemaker-custom-attributes": plan.attributes(),
            "x-amzn-requestid": format!("model-{}", plan.number),
        });
        Answer {
            id: plan.id(),
            status: 200,
            prelude: headers.to_string().into(),
            headers,
            body: payload(plan),
            is_cut: false,
            ended: Instant::now(),
        }
    }

    fn error(plan: &Plan, status: u16, code: &str, message: &str) -> Answer {
        let headers = json!({ "x-amzn-errortype": code });
        let (prelude, body) = (headers.to_string().into(), json!({ "Message": message }).to_string().into());
        Answer { status, headers, prelude, body, ..answer(plan) }
    }

    /// The verdict on request 2, with one thing changed.
    fn judged(model: Model, change: impl FnOnce(&mut Trace, &mut Answer, &Plan)) -> Verdict {
        let plans = plans(model);
        let plan = &plans[2];
        let (mut trace, mut answer) = (trace(), answer(plan));
        change(&mut trace, &mut answer, plan);
        let ends = Instant::now() + Duration::from_secs(1);
        let outcome = Outcome::Answered(answer);
        Case { plans: &plans, plan, trace, outcome, ends, reuses: true, is_disturbed: false }.judge()
    }

    fn is_good(verdict: &Verdict) -> bool {
        verdict.wrong.is_empty() && !verdict.hangs && !verdict.second_call
    }

    #[test]
    fn what_is_right_is_right() {
        assert!(is_good(&judged(Model::Well, |_, _, _| ())));
        let kept = judged(Model::Well, |trace, _, _| {
            (trace.sts, trace.keys_of) = (Vec::new(), Some(0));
        });
        assert!(is_good(&kept), "kept keys of the same caller: {:?}", kept.wrong);
        let cut = judged(Model::TruncatedChunks, |_, answer, _| answer.is_cut = true);
        assert!(is_good(&cut) && cut.end == Some(End::Cut));
        let short = judged(Model::Truncated, |_, answer, plan| {
            *answer = error(plan, 530, "InternalDependencyException", "it broke");
        });
        assert!(is_good(&short), "{:?}", short.wrong);
        let broken = judged(Model::Garbage, |_, answer, plan| {
            *answer = error(plan, 530, "InternalDependencyException", "it broke");
        });
        assert!(is_good(&broken), "{:?}", broken.wrong);
    }

    #[test]
    fn what_is_wrong_is_seen() {
        type Change = fn(&mut Trace, &mut Answer, &Plan);
        let cases: [(&str, Model, Change); 12] = [
            ("another's answer", Model::Well, |_, answer, _| answer.body = payload(&plans(Model::Well)[1])),
            ("a byte", Model::Well, |_, answer, _| answer.body[150] ^= 1),
            ("a byte less", Model::Well, |_, answer, plan| answer.body.truncate(payload(plan).len() - 1)),
            ("a byte more", Model::Well, |_, answer, _| answer.body.push(0)),
            ("another's attributes", Model::Well, |_, answer, _| {
                answer.headers["x-amzn-sagemaker-custom-attributes"] = json!("attributes-canary 1");
            }),
            ("another caller's keys", Model::Well, |trace, _, _| trace.keys_of = Some(1)),
            ("a cut answer that looks whole", Model::Truncated, |_, _, _| ()),
            ("an error of the wrong kind", Model::Garbage, |_, answer, plan| {
                *answer = error(plan, 503, "ServiceUnavailable", "try again");
            }),
            ("an error whose type came, as a broken connection", Model::TruncatedError, |_, answer, plan| {
                *answer = error(plan, 530, "InternalDependencyException", "it broke");
            }),
            ("a secret", Model::Garbage, |_, answer, plan| {
                *answer = error(plan, 530, "InternalDependencyException", EXTERNAL_ID);
            }),
            ("a call that was refused credentials", Model::Well, |trace, answer, plan| {
                trace.sts = vec![Sts::Denied];
                *answer = error(plan, 403, "AccessDeniedException", "no");
            }),
            ("what the backend saw", Model::Well, |trace, _, _| trace.wrong.push("another body".to_owned())),
        ];
        for (what, model, change) in cases {
            assert!(!judged(model, change).wrong.is_empty(), "{what}");
        }
        assert!(judged(Model::Well, |trace, _, _| trace.model_calls = 2).second_call);
        assert!(judged(Model::Well, |_, answer, _| answer.ended += Duration::from_secs(60)).hangs);
    }

    #[test]
    fn a_seed_makes_the_same_run_with_every_fault_in_it() {
        let of = |seed: u64| -> Vec<String> {
            (0..5000).map(|number| format!("{:?}", Plan::of(seed, number, false))).collect()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let run = of(1).join("\n");
        for fault in ["CutOnce", "Surplus", "HalfClosed", "ResetUnread", "Page(504)", "Reset)", "SilentMidway"] {
            assert!(run.contains(fault), "{fault}");
        }
    }
}
