//! How often a service that turns calls away is called: pure, on a clock that is given.
//!
//! What the SDKs' adaptive mode does, for a process that serves one request, or a few,
//! at a time: attempts are some random time apart; after a throttle the next calls
//! keep a distance, which grows with each throttle and shrinks with each success; and
//! a service that is down is not called three times for each request.

use std::time::Duration;

use tokio::time::Instant;

/// What a request waits for its second attempt at the most, and for a later one. STS's
/// rate is per second, and a caller waits.
const BACKOFF: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// The first distance between calls after a throttle, and the longest.
const DISTANCE: Duration = Duration::from_millis(250);
const DISTANCE_MAX: Duration = Duration::from_secs(1);
/// A distance below this is none.
const DISTANCE_MIN: Duration = Duration::from_millis(20);
/// As in the SDKs' standard mode: a retry costs five tokens of five hundred, and each
/// success gives some back.
const BUDGET: u32 = 500;
const RETRY_COST: u32 = 5;

pub struct Pace {
    /// Between the starts of two calls.
    distance: Duration,
    next: Option<Instant>,
    budget: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { distance: Duration::ZERO, next: None, budget: BUDGET }
    }
}

impl Pace {
    /// When a call may start; the one after it has to keep its distance from then.
    pub fn turn(&mut self, now: Instant) -> Instant {
        if self.distance.is_zero() {
            return now;
        }
        let turn = self.next.map_or(now, |next| next.max(now));
        self.next = Some(turn + self.distance);
        turn
    }

    /// The service turned a call away.
    pub fn was_throttled(&mut self, now: Instant) {
        self.distance = (self.distance * 2).clamp(DISTANCE, DISTANCE_MAX);
        self.next = Some(now + self.distance);
    }

    pub fn succeeded(&mut self) {
        self.budget = (self.budget + 1).min(BUDGET);
        self.distance = self.distance * 9 / 10;
        if self.distance < DISTANCE_MIN {
            self.distance = Duration::ZERO;
            self.next = None;
        }
    }

    /// When to try again after so many attempts; nothing when too many have failed
    /// lately. `random` is from 0 to 1.
    pub fn again(&mut self, attempts: u32, now: Instant, random: f64) -> Option<Instant> {
        self.budget = self.budget.checked_sub(RETRY_COST)?;
        let longest = BACKOFF.saturating_mul(attempts).min(BACKOFF_MAX);
        Some(now + longest.mul_f64(random.clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttled(pace: &mut Pace, now: Instant) -> Duration {
        pace.was_throttled(now);
        pace.turn(now) - now
    }

    #[test]
    fn without_a_throttle_a_call_starts_at_once() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!([pace.turn(now), pace.turn(now)], [now, now]);
    }

    #[test]
    fn distances_double_up_to_a_second_and_shrink_to_none() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for milliseconds in [250, 500, 1000, 1000] {
            assert_eq!(throttled(&mut pace, now), Duration::from_millis(milliseconds));
        }
        let successes = (1..).find(|_| {
            pace.succeeded();
            pace.turn(now) == now
        });
        // 1000 ms × 0.9^n < 20 ms.
        assert_eq!(successes, Some(38));
    }

    #[test]
    fn several_at_once_keep_their_distance() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.was_throttled(now);
        let turns = [1, 2, 3].map(|_| pace.turn(now) - now);
        assert_eq!(turns, [250, 500, 750].map(Duration::from_millis));
    }

    #[test]
    fn attempts_are_at_most_a_second_apart_and_some_random_time() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        for (attempts, random, milliseconds) in
            [(1, 0.0, 0), (1, 0.5, 250), (1, 1.0, 500), (2, 1.0, 1000), (9, 1.0, 1000), (u32::MAX, 0.5, 500)]
        {
            assert_eq!(pace.again(attempts, now, random), Some(now + Duration::from_millis(milliseconds)));
        }
    }

    #[test]
    fn a_service_that_is_down_is_not_asked_again_for_ever() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let allowed = (0..).take_while(|_| pace.again(1, now, 0.0).is_some()).count();
        assert_eq!(allowed, 100);
        for _ in 0..RETRY_COST {
            assert_eq!(pace.again(1, now, 0.0), None);
            pace.succeeded();
        }
        assert_eq!(pace.again(1, now, 0.0), Some(now));
    }
}
