//! Credentials kept for the next request of the same kind, if the child asks for
//! it (`CREDENTIAL_REUSE_SECONDS`).
//!
//! Own code: what is needed beyond a map is that one flight a key takes place, and
//! tokio's mutex is that. A cache crate would bring its own clock and threads, and
//! keep what a key's first caller got for those who wait, errors too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use sagemaker_external::arn::RoleArn;
use sagemaker_external::name::{ExternalId, SessionName};
use tokio::sync::Mutex as Flight;
use tokio::time::{Instant, timeout_at};

use crate::assume::{NotAssumed, SHORTEST};
use crate::caller::Caller;
use crate::deadline::Deadline;

/// Credentials are not handed out in the last minutes before they expire: a clock may
/// be five minutes off before AWS refuses its signatures, and a stream may last eight.
const MARGIN: Duration = Duration::from_secs(600);
/// Sets of credentials kept at most: so many callers and endpoints within one reuse
/// time are a lot for one Lambda environment, which serves one request at a time.
const MOST: usize = 256;

/// Everything that AssumeRole is asked for, but what differs from request to request
/// (the request's id in the session's name and tags): whoever has an equal key would
/// get credentials that may do the same, in the same caller's name (R06). The caller
/// is here whole, not by a hash. Without `Debug`: it holds an ExternalId.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Key {
    pub role: RoleArn,
    pub external_id: ExternalId,
    pub caller: Caller,
    pub is_attributed: bool,
    /// The session policy, which names the endpoint and its region.
    pub policy: String,
}

/// Credentials, and the session that they are of. Without `Debug`.
#[derive(Clone)]
pub struct Session {
    pub credentials: Credentials,
    pub name: SessionName,
}

pub struct Reuse {
    time: Duration,
    clock: Clock,
    slots: Mutex<Slots>,
}

type Slots = HashMap<Key, Arc<Slot>>;

/// The wall clock.
type Clock = Box<dyn Fn() -> SystemTime + Send + Sync>;

/// The place of one key.
#[derive(Default)]
struct Slot {
    /// Whoever holds it is the one that asks STS.
    flight: Flight<()>,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    session: Session,
    /// On the monotonic clock, whatever the wall clock does.
    until: Instant,
    /// The same on the wall clock, which also runs while Lambda freezes the process;
    /// STS's expiry less the margin where that is sooner.
    before: SystemTime,
}

impl Kept {
    fn is_fresh(&self, now: SystemTime) -> bool {
        Instant::now() < self.until && now < self.before
    }
}

impl Slot {
    fn fresh(&self, now: SystemTime) -> Option<Session> {
        locked(&self.kept).as_ref().filter(|kept| kept.is_fresh(now)).map(|kept| kept.session.clone())
    }

    /// When what is kept is over, if anything is.
    fn until(&self) -> Option<Instant> {
        locked(&self.kept).as_ref().map(|kept| kept.until)
    }
}

impl Reuse {
    /// Keeps credentials for `time`.
    pub fn new(time: Duration, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { time, clock: Box::new(clock), slots: Mutex::default() }
    }

    /// How long a session has to last so that it can be reused for `time` (R07).
    pub fn duration(&self) -> Duration {
        SHORTEST.max(self.time + MARGIN)
    }

    /// The kept session of this key and `true`, or what `assume` gives and `false`.
    /// Of several that ask for one key at a time, one runs `assume` while the others
    /// wait, within their deadlines. A failure is not kept: the next one tries itself.
    ///
    /// # Errors
    /// `assume`'s, or the deadline.
    pub async fn session(
        &self,
        key: Key,
        deadline: Deadline,
        assume: impl Future<Output = Result<Session, NotAssumed>>,
    ) -> Result<(Session, bool), NotAssumed> {
        let slot = self.slot(key);
        if let Some(session) = slot.fresh((self.clock)()) {
            return Ok((session, true));
        }
        let _flight = timeout_at(deadline.at(), slot.flight.lock()).await.map_err(|_| NotAssumed::late())?;
        // Another flight may have landed meanwhile.
        let (asked, now) = (Instant::now(), (self.clock)());
        if let Some(session) = slot.fresh(now) {
            return Ok((session, true));
        }
        let session = assume.await?;
        let before = session.credentials.expiry().and_then(|expiry| expiry.checked_sub(MARGIN));
        // STS always says when; without it nothing is kept.
        let kept = before.map(|before| Kept {
            session: session.clone(),
            until: asked + self.time,
            before: before.min(now + self.time),
        });
        *locked(&slot.kept) = kept;
        Ok((session, false))
    }

    /// Forgets the session of this access key, which AWS has refused. A newer one of
    /// the same caller stays.
    pub fn forget(&self, access_key_id: &str) {
        for slot in locked(&self.slots).values() {
            locked(&slot.kept).take_if(|kept| kept.session.credentials.access_key_id() == access_key_id);
        }
    }

    /// The slot of a key, with room made for it. A session that finds no room, because
    /// all slots are in use this moment, is not kept.
    fn slot(&self, key: Key) -> Arc<Slot> {
        let mut slots = locked(&self.slots);
        if let Some(slot) = slots.get(&key) {
            return Arc::clone(slot);
        }
        if slots.len() >= MOST {
            make_room(&mut slots, (self.clock)());
        }
        let slot = Arc::<Slot>::default();
        if slots.len() < MOST {
            slots.insert(key, Arc::clone(&slot));
        }
        slot
    }
}

/// Drops what is of no use any more, or else the oldest. A slot that a request is
/// using stays.
fn make_room(slots: &mut Slots, now: SystemTime) {
    let is_idle = |slot: &Arc<Slot>| Arc::strong_count(slot) == 1;
    slots.retain(|_, slot| !is_idle(slot) || slot.fresh(now).is_some());
    if slots.len() >= MOST {
        let oldest = slots.iter().filter(|(_, slot)| is_idle(slot)).min_by_key(|(_, slot)| slot.until());
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            slots.remove(&key);
        }
    }
}

/// Nothing of ours panics while it holds one of these, and what they hold is whole
/// in any case.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "reuse_tests.rs"]
mod tests;
