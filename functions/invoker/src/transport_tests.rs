use std::net::TcpListener;

use proptest::prelude::*;

use super::*;

fn at(monotonic: Instant, wall: SystemTime, monotonic_ms: u64, wall_ms: i64) -> Moment {
    let by = Duration::from_millis(wall_ms.unsigned_abs());
    let wall = if wall_ms < 0 { wall - by } else { wall + by };
    Moment { monotonic: monotonic + Duration::from_millis(monotonic_ms), wall }
}

#[test]
fn r04_the_age_is_that_of_the_clock_that_went_further() {
    let (monotonic, wall) = (Instant::now(), SystemTime::now());
    let then = at(monotonic, wall, 5_000, 0);
    for (monotonic_ms, wall_ms, age) in [
        (5_000, 0, 0),
        (6_000, 1_000, 1_000),
        // The process was frozen, and the monotonic clock with it.
        (5_001, 60_000, 60_000),
        // The wall clock was set back, or forward.
        (6_000, -3_600_000, 1_000),
        (5_000, -1, 0),
        (6_000, 3_600_000, 3_600_000),
        // What another thread saw a moment before.
        (4_000, -1, 0),
    ] {
        let now = at(monotonic, wall, monotonic_ms, wall_ms);
        assert_eq!(then.age(now), Duration::from_millis(age), "{monotonic_ms} {wall_ms}");
    }
}

proptest! {
    /// Whatever the clocks do: no panic, and neither clock's time is missed.
    #[test]
    fn r04_no_age_is_less_than_either_clock_says(monotonic_ms in 0..1_000_000u64, wall_ms in -1_000_000..1_000_000i64) {
        let (monotonic, wall) = (Instant::now(), SystemTime::now());
        let age = at(monotonic, wall, 0, 0).age(at(monotonic, wall, monotonic_ms, wall_ms));
        prop_assert_eq!(age.as_millis(), u128::from(monotonic_ms.max(u64::try_from(wall_ms).unwrap_or_default())));
    }
}

/// The pool goes by it: a connection that looks alive is not used past its age on the wall
/// clock, while the monotonic one has hardly moved.
#[tokio::test]
async fn r04_a_connection_that_aged_while_the_process_was_frozen_is_not_used() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri: Uri = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let pool = Pool::default();
    let place = place(&uri).unwrap();
    for (frozen, is_kept) in [(Duration::ZERO, true), (IDLE, false)] {
        let sender = pool.connect(&uri).await.unwrap_or_else(|lost| panic!("{}", lost.code()));
        park(&pool.idle, place.clone(), sender);
        for connection in locked(&pool.idle).get_mut(&place).unwrap() {
            connection.since.wall -= frozen;
        }
        assert_eq!(pool.kept(&place).await.is_some(), is_kept, "{frozen:?}");
    }
}
