//! A success passes as it comes: piece by piece, never gathered, and cut when it
//! breaks off.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame};
use invoker::body::Cut;
use tokio::time::{Sleep, sleep};

use crate::support::cloud::{Cloud, Reply, answered};
use crate::support::{ask, ask_within, context, event, invoker};

/// A body that counts what was asked of it, and ends in some way.
struct Pieces {
    left: usize,
    taken: Arc<AtomicUsize>,
    end: End,
    pause: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Well,
    Broken,
    /// After half a minute without a byte.
    Late,
    /// Half a minute without a byte before each of so many more.
    Slow(usize),
    Never,
    /// After half a minute and one more piece.
    Stalled,
    Trailers,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left > 0 {
            self.left -= 1;
            self.taken.fetch_add(1, Ordering::SeqCst);
            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"piece ")))));
        }
        match self.end {
            End::Well => Poll::Ready(None),
            End::Broken => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
            End::Never => Poll::Pending,
            End::Late | End::Stalled => {
                let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(Duration::from_secs(30))));
                ready!(pause.as_mut().poll(cx));
                let end = if self.end == End::Late { End::Well } else { End::Never };
                (self.end, self.left) = (end, 1);
                self.poll_frame(cx)
            }
            End::Slow(0) => Poll::Ready(None),
            End::Slow(more) => {
                let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(Duration::from_secs(30))));
                ready!(pause.as_mut().poll(cx));
                (self.end, self.left, self.pause) = (End::Slow(more - 1), 1, None);
                self.poll_frame(cx)
            }
            End::Trailers => {
                self.end = End::Well;
                let trailers = http::HeaderMap::from_iter([(http::header::SET_COOKIE, "a=b".parse().unwrap())]);
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }
}

/// A model that answers with so many pieces, and how many were taken.
fn model(pieces: usize, end: End) -> (Cloud, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let shared = Arc::clone(&taken);
    let cloud = Cloud::granting(move |_| {
        let body = SdkBody::from_body_1_x(Pieces { left: pieces, taken: Arc::clone(&shared), end, pause: None });
        answered(http::Response::builder().status(200), body)
    });
    (cloud, taken)
}

/// The head is there before the first piece is read, and no piece is read before
/// the one ahead of it is taken: memory holds one piece, not the answer.
#[tokio::test]
async fn an_answer_passes_piece_by_piece() {
    let (cloud, taken) = model(1000, End::Well);
    let event = Bytes::from(event().to_string());
    let answer = invoker(&cloud).handle(event, &context(Duration::from_secs(60))).await;
    assert_eq!((answer.metadata_prelude.status_code.as_u16(), taken.load(Ordering::SeqCst)), (200, 0));
    let mut body = answer.stream;
    for expected in 1..=1000 {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "piece ");
        assert_eq!(taken.load(Ordering::SeqCst), expected);
    }
    assert!(std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.is_none());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_cut() {
    let (cloud, _) = model(3, End::Broken);
    let answer = ask(&invoker(&cloud), &event()).await;
    assert_eq!((answer.status, answer.cut), (200, Some(Cut::Upstream)));
    assert_eq!(answer.body, b"piece piece piece ");
    assert_eq!(cloud.counts(), (1, 1), "and the model is not asked again");
}

#[tokio::test(start_paused = true)]
async fn r13_an_answer_that_stalls_is_cut_at_the_deadline() {
    let (cloud, _) = model(3, End::Never);
    let began = tokio::time::Instant::now();
    let answer = ask_within(&invoker(&cloud), &event(), Duration::from_secs(60)).await;
    assert!(began.elapsed() < Duration::from_secs(60));
    assert_eq!((answer.status, answer.cut), (200, Some(Cut::Deadline)));
    assert_eq!(answer.body, b"piece piece piece ");
}

/// A function may have more time than API Gateway's patience.
#[tokio::test(start_paused = true)]
async fn r13_an_answer_that_is_silent_is_cut_before_api_gateway_does() {
    for (pieces, end, silent_from) in [(3, End::Never, 0), (0, End::Never, 0), (1, End::Stalled, 30)] {
        let (cloud, _) = model(pieces, end);
        let began = tokio::time::Instant::now();
        let answer = ask_within(&invoker(&cloud), &event(), Duration::from_secs(900)).await;
        assert_eq!((answer.status, answer.cut), (200, Some(Cut::Silence)));
        assert_eq!(began.elapsed().as_secs(), silent_from + 290, "from the last piece on");
    }
}

/// SageMaker gives a model a minute, before the answer and within it.
#[tokio::test(start_paused = true)]
async fn r13_a_slow_model_is_waited_for() {
    let (cloud, _) = model(2, End::Late);
    let answer = ask(&invoker(&cloud), &event()).await;
    assert_eq!((answer.cut, answer.body.as_slice()), (None, &b"piece piece piece "[..]));
    let cloud = Cloud::granting(|_| {
        let response = http::Response::builder().status(200).body(SdkBody::from("at last")).unwrap();
        Reply::Late(Duration::from_secs(58), Box::new(response))
    });
    let answer = ask(&invoker(&cloud), &event()).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"at last"[..]));
}

/// The limit of each operation is for the beginning of its answer: a body that came
/// with its head goes on until the function's own deadline, and no further.
#[tokio::test(start_paused = true)]
async fn r13_a_body_that_has_begun_may_take_longer_than_its_head() {
    for (pauses, left, cut) in [(10, 900, None), (40, 900, Some(Cut::Deadline))] {
        let (cloud, _) = model(1, End::Slow(pauses));
        let began = tokio::time::Instant::now();
        let answer = ask_within(&invoker(&cloud), &event(), Duration::from_secs(left)).await;
        let pieces = 1 + pauses.min(left as usize / 30 - usize::from(cut.is_some()));
        assert_eq!((answer.status, answer.cut, answer.body.len()), (200, cut, pieces * b"piece ".len()));
        assert!(began.elapsed() > Duration::from_secs(290), "longer than the 90 s of its head");
        assert!(began.elapsed() < Duration::from_secs(left));
    }
}

#[tokio::test]
async fn s18_trailers_of_the_answer_are_dropped() {
    let (cloud, _) = model(1, End::Trailers);
    let answer = ask(&invoker(&cloud), &event()).await;
    assert_eq!((answer.cut, answer.body.as_slice()), (None, &b"piece "[..]));
}
