//! STS throttles: the SDK's adaptive mode, bounded so that callers are served.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::cloud::{Cloud, credentials, prediction, sts_error};
use crate::support::{ask, ask_within, event, invoker};

/// STS turns these calls away.
fn throttling(which: impl Fn(usize) -> bool + Send + Sync + 'static) -> Cloud {
    let reply = move |call| if which(call) { sts_error(400, "Throttling") } else { credentials() };
    Cloud::new(reply, |_| prediction())
}

/// How long a request takes, on the paused clock.
async fn timed(invoker: &invoker::handler::Invoker) -> (u16, Duration) {
    let began = Instant::now();
    let status = ask(invoker, &event()).await.status;
    (status, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn r09_a_throttled_call_is_made_again_within_a_second() {
    let cloud = throttling(|call| call == 0);
    let (status, took) = timed(&invoker(&cloud)).await;
    assert_eq!((status, cloud.counts()), (200, (2, 1)));
    assert!(took <= Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn r09_attempts_are_bounded_and_the_next_request_is_served() {
    let cloud = throttling(|call| call < 3);
    let invoker = invoker(&cloud);
    let (status, took) = timed(&invoker).await;
    assert_eq!((status, cloud.counts()), (429, (3, 0)));
    assert!(took <= Duration::from_secs(2), "{took:?}");
    // The limiter holds it back for a while, and no longer.
    let (status, took) = timed(&invoker).await;
    assert_eq!((status, cloud.counts()), (200, (4, 1)));
    assert!(took <= Duration::from_secs(3), "{took:?}");
}

/// After a throttle the calls are paced, which standard mode would not do.
#[tokio::test(start_paused = true)]
async fn a_throttled_client_slows_down() {
    let began = Instant::now();
    let cloud = throttling(|_| false);
    let steady = invoker(&cloud);
    for _ in 0..20 {
        assert_eq!(timed(&steady).await, (200, Duration::ZERO));
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "not a moment's wait without a throttle");

    let cloud = throttling(|call| call == 0);
    let slowed = invoker(&cloud);
    for _ in 0..20 {
        assert_eq!(timed(&slowed).await.0, 200);
    }
    assert!(began.elapsed() > Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn r13_pacing_ends_at_the_deadline() {
    let cloud = throttling(|_| true);
    let invoker = invoker(&cloud);
    for _ in 0..5 {
        let answer = ask_within(&invoker, &event(), Duration::from_secs(1)).await;
        assert!([429, 504].contains(&answer.status), "{}", answer.status);
    }
    assert_eq!(cloud.counts().1, 0);
}
