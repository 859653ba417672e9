//! The body of an answer: bytes of ours, or SageMaker's passed on as they come.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Sleep, sleep_until};

use crate::deadline::Deadline;

pub enum Body {
    Bytes(Bytes),
    /// In constant memory: one piece at a time, the next one read when this one
    /// is taken.
    Passing(Passing),
    Ended,
}

pub struct Passing {
    upstream: SdkBody,
    until: Pin<Box<Sleep>>,
    request_id: String,
}

/// Why a body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// SageMaker's answer broke off.
    Upstream,
    /// Lambda's deadline came first.
    Deadline,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upstream => "the endpoint's answer broke off",
            Self::Deadline => "the function's time ended before the endpoint's answer did",
        })
    }
}

impl std::error::Error for Cut {}

impl Body {
    pub fn passing(upstream: SdkBody, deadline: Deadline, request_id: &str) -> Self {
        let until = Box::pin(sleep_until(deadline.at()));
        Self::Passing(Passing { upstream, until, request_id: request_id.to_owned() })
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Cut;

    /// Data frames only (a trailer of SageMaker's is dropped, S18); after an error,
    /// the end.
    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        let next = match this {
            Self::Ended => None,
            Self::Bytes(bytes) => Some(Ok(std::mem::take(bytes))),
            Self::Passing(passing) => match ready!(passing.poll_next(cx)) {
                Some(Ok(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                end => end,
            },
        };
        *this = Self::Ended;
        Poll::Ready(next.map(|result| result.map(Frame::data)))
    }
}

impl Passing {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if self.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(self.cut(Cut::Deadline))));
        }
        loop {
            match ready!(http_body::Body::poll_frame(Pin::new(&mut self.upstream), cx)) {
                None => return Poll::Ready(None),
                Some(Err(_)) => return Poll::Ready(Some(Err(self.cut(Cut::Upstream)))),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
            }
        }
    }

    fn cut(&self, cut: Cut) -> Cut {
        tracing::error!(target: "invoker", request_id = self.request_id, cause = %cut, "answer cut");
        cut
    }
}
