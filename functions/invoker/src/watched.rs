//! The body of an answer, and the request's one line: written when the body ends, since
//! only then are its bytes, its time and its end known.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;

use crate::body::{Body, Cut};
use crate::record::{End, Served};

/// A body that is watched to its end, whichever end that is: also one that nobody takes
/// any more leaves its line.
pub struct Watched {
    body: Body,
    bytes: usize,
    /// A cut that the bytes themselves told.
    cut: Option<Cut>,
    /// Until the line is written.
    served: Option<Served>,
}

impl Watched {
    pub(crate) fn new(body: Body, served: Served) -> Self {
        Self { body, bytes: 0, cut: None, served: Some(served) }
    }

    fn ended(&mut self, end: End) {
        if let Some(served) = self.served.take() {
            served.tell(self.cut.map_or(end, End::Cut), self.bytes);
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        let next = ready!(Pin::new(&mut this.body).poll_frame(cx));
        match &next {
            Some(Ok(frame)) => {
                this.bytes += frame.data_ref().map_or(0, Bytes::len);
                this.cut = this.body.cut();
            }
            Some(Err(cut)) => this.ended(End::Cut(*cut)),
            None => this.ended(End::Whole),
        }
        Poll::Ready(next)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.ended(End::NotTaken);
    }
}
