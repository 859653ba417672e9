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
/// The longest that a call waits for its turn: a caller had better hear of it, and try again.
const WAIT_MAX: Duration = Duration::from_secs(5);
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
    /// When a call may start, if that is before `until`; the one after it has to keep its
    /// distance from then. A call that finds no turn books none.
    pub fn turn(&mut self, now: Instant, until: Instant) -> Option<Instant> {
        if self.distance.is_zero() {
            return Some(now);
        }
        let turn = self.next.map_or(now, |next| next.max(now));
        if turn >= until.min(now + WAIT_MAX) {
            return None;
        }
        self.next = Some(turn + self.distance);
        Some(turn)
    }

    /// The service turned a call away.
    pub fn was_throttled(&mut self, now: Instant) {
        self.distance = (self.distance * 2).clamp(DISTANCE, DISTANCE_MAX);
        // Turns that were given out already keep their order.
        self.next = self.next.max(Some(now + self.distance));
    }

    /// A call succeeded, after so many retries.
    pub fn succeeded(&mut self, retries: u32) {
        self.budget = self.budget.saturating_add((retries * RETRY_COST).max(1)).min(BUDGET);
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

    /// Far enough for any turn.
    const FAR: Duration = Duration::from_secs(90);

    fn turn(pace: &mut Pace, now: Instant) -> Option<Duration> {
        pace.turn(now, now + FAR).map(|turn| turn - now)
    }

    #[test]
    fn without_a_throttle_a_call_starts_at_once() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        assert_eq!([turn(&mut pace, now), turn(&mut pace, now)], [Some(Duration::ZERO); 2]);
    }

    #[test]
    fn distances_double_up_to_a_second_and_shrink_to_none() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for milliseconds in [250, 500, 1000, 1000] {
            // The turns before are over.
            now += FAR;
            pace.was_throttled(now);
            assert_eq!(turn(&mut pace, now), Some(Duration::from_millis(milliseconds)));
        }
        now += FAR;
        let successes = (1..).find(|_| {
            pace.succeeded(0);
            turn(&mut pace, now) == Some(Duration::ZERO) && turn(&mut pace, now) == Some(Duration::ZERO)
        });
        // 1000 ms × 0.9^n < 20 ms.
        assert_eq!(successes, Some(38));
    }

    #[test]
    fn several_at_once_keep_their_distance_also_past_a_throttle() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        pace.was_throttled(now);
        let turns = [1, 2, 3].map(|_| turn(&mut pace, now));
        assert_eq!(turns, [250, 500, 750].map(|turn| Some(Duration::from_millis(turn))));
        pace.was_throttled(now);
        assert_eq!(turn(&mut pace, now), Some(Duration::from_millis(1000)));
    }

    /// However many are turned away, whoever comes later waits no longer for it.
    #[test]
    fn a_refused_turn_is_not_booked() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        (0..3).for_each(|_| pace.was_throttled(now));
        // Ten requests a second for a minute, when one a second may start.
        let refused = (0..600).filter(|&n| turn(&mut pace, now + n * Duration::from_millis(100)).is_none()).count();
        assert!((500..560).contains(&refused), "{refused}");
        let later = now + Duration::from_secs(60);
        assert!(turn(&mut pace, later + WAIT_MAX) <= Some(Duration::from_secs(1)));
        assert_eq!(pace.turn(later, later), None, "a turn at the deadline is none");
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
        let mut allowed = || (0..).take_while(|_| pace.again(1, now, 0.0).is_some()).count();
        assert_eq!(allowed(), 100);
        let mut pace = Pace { budget: 0, ..Pace::default() };
        for _ in 0..RETRY_COST {
            assert_eq!(pace.again(1, now, 0.0), None);
            pace.succeeded(0);
        }
        assert_eq!(pace.again(1, now, 0.0), Some(now));
        pace.succeeded(1);
        assert_eq!(pace.again(1, now, 0.0), Some(now), "a retry that succeeds costs nothing");
    }
}
