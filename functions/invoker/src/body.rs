//! The body of an answer: bytes of ours, or SageMaker's passed on as they come.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Sleep, sleep, sleep_until};

use crate::deadline::Deadline;
use crate::form::Form;
use crate::stream::Relay;

/// API Gateway ends a streamed answer that is silent for 5 minutes, and the client sees
/// no more than a broken connection ("Considerations for response payload streaming").
const LONGEST_SILENCE: Duration = Duration::from_secs(290);

pub enum Body {
    Bytes(Bytes),
    /// In constant memory: one piece at a time, the next one read when this one
    /// is taken.
    Passing(Passing),
    Ended,
}

pub struct Passing {
    upstream: SdkBody,
    relay: Relay,
    has_ended: bool,
    until: Pin<Box<Sleep>>,
    /// The end of a silence: there while the next piece is waited for.
    patience: Option<Pin<Box<Sleep>>>,
    /// Why it ended before its end, if the answer had a place to say so.
    cut: Option<Cut>,
}

/// Why a body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// SageMaker's answer broke off.
    Upstream,
    /// It is no event stream, where one was to be read.
    Garbled,
    /// Nothing came for [`LONGEST_SILENCE`].
    Silence,
    /// Lambda's deadline came first.
    Deadline,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Upstream => "the endpoint's answer broke off",
            Self::Garbled => "the endpoint's answer is not a readable event stream",
            Self::Silence => "the endpoint sent nothing for 290 s, and API Gateway waits no longer",
            Self::Deadline => "the function's time ended before the endpoint's answer did",
        })
    }
}

impl std::error::Error for Cut {}

impl Body {
    pub fn passing(upstream: SdkBody, form: Form, deadline: Deadline) -> Self {
        let until = Box::pin(sleep_until(deadline.at()));
        let relay = Relay::new(form);
        Self::Passing(Passing { upstream, relay, has_ended: false, until, patience: None, cut: None })
    }

    /// Why the body ended before its end, where its bytes said so and no error did.
    pub(crate) fn cut(&self) -> Option<Cut> {
        match self {
            Self::Passing(passing) => passing.cut,
            Self::Bytes(_) | Self::Ended => None,
        }
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
        loop {
            match self.relay.next() {
                Ok(Some(piece)) => {
                    self.patience = None;
                    return Poll::Ready(Some(Ok(piece)));
                }
                Ok(None) if self.has_ended || self.relay.is_over() => return Poll::Ready(None),
                Ok(None) => {}
                Err(cut) => return self.end(Some(cut)),
            }
            if self.until.as_mut().poll(cx).is_ready() {
                return self.end(Some(Cut::Deadline));
            }
            match http_body::Body::poll_frame(Pin::new(&mut self.upstream), cx) {
                Poll::Ready(None) => return self.end(None),
                Poll::Ready(Some(Err(_))) => return self.end(Some(Cut::Upstream)),
                Poll::Ready(Some(Ok(frame))) => self.relay.push(frame.into_data().unwrap_or_default()),
                Poll::Pending => {
                    let patience = self.patience.get_or_insert_with(|| Box::pin(sleep(LONGEST_SILENCE)));
                    ready!(patience.as_mut().poll(cx));
                    return self.end(Some(Cut::Silence));
                }
            }
        }
    }

    /// The end of SageMaker's answer, which is a cut within a frame even if it came
    /// well: what is left to say of it.
    fn end(&mut self, cut: Option<Cut>) -> Poll<Option<Result<Bytes, Cut>>> {
        self.has_ended = true;
        self.cut = cut.or_else(|| self.relay.is_inside().then_some(Cut::Upstream));
        Poll::Ready(self.cut.map(|cut| self.relay.tell(cut)))
    }
}
