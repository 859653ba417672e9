use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::future::join_all;
use proptest::prelude::*;
use serde_json::json;
use tokio::time::sleep;

use super::*;
use crate::assume::Why;
use crate::event::Event;

const TIME: Duration = Duration::from_secs(100);

fn key(caller: usize, grant: usize, endpoint: usize) -> Key {
    let arn = format!("arn:aws:iam::444455556666:user/u{caller}");
    let context =
        json!({ "requestContext": { "accountId": "444455556666", "identity": { "userArn": arn } } }).to_string();
    let event = Event::read(context.as_bytes()).expect("an event");
    Key {
        role: "arn:aws:iam::111122223333:role/R".parse().expect("an ARN"),
        external_id: format!("tenant-{grant}").parse().expect("an ExternalId"),
        caller: event.request_context().and_then(Caller::of).expect("a caller"),
        is_attributed: false,
        policy: format!("policy for {endpoint}"),
    }
}

fn session(id: &str, expiry: Option<SystemTime>) -> Session {
    let credentials = Credentials::new(id, "secret", Some("token".to_owned()), expiry, "test");
    Session { credentials, name: "alice@1".parse().expect("a name") }
}

fn deadline() -> Deadline {
    let mut context = lambda_runtime::Context::default();
    let at = SystemTime::now() + Duration::from_secs(10_000);
    context.deadline = at.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    Deadline::of(&context)
}

/// A wall clock beside tokio's, which may jump.
#[derive(Clone)]
struct Wall {
    base: SystemTime,
    start: Instant,
    jumped: Arc<AtomicI64>,
}

impl Wall {
    fn new() -> Self {
        Self { base: SystemTime::now(), start: Instant::now(), jumped: Arc::default() }
    }

    fn now(&self) -> SystemTime {
        let now = self.base + self.start.elapsed();
        let jumped = self.jumped.load(Ordering::Relaxed);
        let by = Duration::from_secs(jumped.unsigned_abs());
        if jumped < 0 { now - by } else { now + by }
    }

    fn jump(&self, seconds: i64) {
        self.jumped.fetch_add(seconds, Ordering::Relaxed);
    }

    fn reuse(&self) -> Reuse {
        let wall = self.clone();
        Reuse::new(TIME, move || wall.now())
    }
}

/// What happens at some second of a life.
#[derive(Debug, Clone)]
enum Act {
    /// A request, and what STS does if it is asked: after so long, credentials that
    /// last so long, or a failure.
    Ask { key: (usize, usize, usize), takes: u64, lasts: Option<u64> },
    /// AWS refuses the session that was given as the so-manieth.
    Forget(usize),
    /// Lambda freezes the process, or somebody sets the clock.
    Jump(i64),
}

fn act() -> impl Strategy<Value = Act> {
    let key = (0..3usize, 0..2usize, 0..2usize);
    let lasts = prop_oneof![4 => (500..1000u64).prop_map(Some), 1 => Just(None)];
    prop_oneof![
        8 => (key, 0..30u64, lasts).prop_map(|(key, takes, lasts)| Act::Ask { key, takes, lasts }),
        1 => (0..20usize).prop_map(Act::Forget),
        1 => (-200..200i64).prop_map(Act::Jump),
    ]
}

/// What was given to whom.
struct Given {
    key: (usize, usize, usize),
    asked: Instant,
    expiry: SystemTime,
    forgotten: Option<Instant>,
}

async fn live(life: Vec<(u64, Act)>) {
    let wall = Wall::new();
    let reuse = wall.reuse();
    let given: Rc<RefCell<Vec<Given>>> = Rc::default();
    let flying: Rc<RefCell<Vec<(usize, usize, usize)>>> = Rc::default();
    let acts = life.into_iter().map(|(at, act)| {
        let (wall, reuse, given, flying) = (&wall, &reuse, Rc::clone(&given), Rc::clone(&flying));
        async move {
            sleep(Duration::from_secs(at)).await;
            match act {
                Act::Jump(seconds) => wall.jump(seconds),
                Act::Forget(n) => {
                    if let Some(given) = given.borrow_mut().get_mut(n) {
                        reuse.forget(&format!("ASIA{n}"));
                        given.forgotten.get_or_insert(Instant::now());
                    }
                }
                Act::Ask { key: who, takes, lasts } => {
                    let began = Instant::now();
                    let asked = Cell::new(false);
                    let assume = async {
                        asked.set(true);
                        assert!(!flying.borrow().contains(&who), "two flights for one key");
                        flying.borrow_mut().push(who);
                        let at = Instant::now();
                        let expiry = wall.now() + Duration::from_secs(lasts.unwrap_or_default());
                        sleep(Duration::from_secs(takes)).await;
                        flying.borrow_mut().retain(|flying| *flying != who);
                        lasts.ok_or(NotAssumed { why: Why::Denied, code: "AccessDenied".to_owned() })?;
                        let mut given = given.borrow_mut();
                        given.push(Given { key: who, asked: at, expiry, forgotten: None });
                        Ok(session(&format!("ASIA{}", given.len() - 1), Some(expiry)))
                    };
                    let outcome = reuse.session(key(who.0, who.1, who.2), deadline(), assume).await;
                    let Ok((session, reused)) = outcome else {
                        assert!(asked.get() && lasts.is_none(), "refused for somebody else's failure");
                        return;
                    };
                    assert_eq!(reused, !asked.get());
                    let id = session.credentials.access_key_id().trim_start_matches("ASIA").parse::<usize>();
                    let given = given.borrow();
                    let found = given.get(id.expect("a number")).expect("given by STS");
                    assert_eq!(found.key, who, "somebody else's credentials");
                    if reused {
                        assert!(found.asked.elapsed() < TIME, "kept for too long");
                        assert!(wall.now() + MARGIN < found.expiry, "too near to its expiry");
                        // What was refused before this request began is not handed out.
                        assert!(found.forgotten.is_none_or(|at| at >= began), "refused and still kept");
                    }
                }
            }
        }
    });
    join_all(acts).await;
}

fn paused(future: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(future);
}

proptest! {
    /// R06: whatever callers, grants and endpoints come in whatever order, through
    /// failures, expiry, refusals and clocks that jump, nobody is given what was made
    /// for another, nor what may be expired.
    #[test]
    fn r06_nobody_gets_anybody_elses_or_stale_credentials(life in prop::collection::vec((0..400u64, act()), 1..60)) {
        paused(live(life));
    }
}

/// Without this the property would hold for a cache that keeps nothing.
#[tokio::test(start_paused = true)]
async fn r06_what_is_fresh_is_reused_and_an_early_expiry_is_heeded() {
    let wall = Wall::new();
    let reuse = wall.reuse();
    let ask = async |lasts: Option<u64>| {
        let expiry = lasts.map(|lasts| wall.now() + Duration::from_secs(lasts));
        let assume = async { Ok(session("ASIA", expiry)) };
        let (_, reused) = reuse.session(key(0, 0, 0), deadline(), assume).await.ok().expect("a session");
        reused
    };
    assert!(!ask(Some(900)).await);
    assert!(ask(Some(900)).await);
    tokio::time::advance(TIME - Duration::from_secs(1)).await;
    assert!(ask(Some(900)).await);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!ask(Some(610)).await, "the time is over");
    tokio::time::advance(Duration::from_secs(9)).await;
    assert!(ask(Some(610)).await);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(!ask(Some(900)).await, "ten minutes before its expiry");
    wall.jump(100);
    assert!(!ask(Some(900)).await, "frozen while the wall clock ran on");
    wall.jump(-3600);
    assert!(ask(Some(900)).await);
    tokio::time::advance(TIME).await;
    assert!(!ask(Some(600)).await, "a clock set back keeps nothing alive");
    assert!(!ask(None).await, "it was within the margin from the start");
    assert!(!ask(None).await, "without an expiry nothing is kept");
}

#[tokio::test(start_paused = true)]
async fn no_more_are_kept_than_there_is_room_for() {
    let wall = Wall::new();
    let reuse = wall.reuse();
    let ask = async |n: usize| {
        let expiry = Some(wall.now() + Duration::from_secs(900));
        let assume = async { Ok(session(&format!("ASIA{n}"), expiry)) };
        let (session, reused) = reuse.session(key(n, 0, 0), deadline(), assume).await.ok().expect("a session");
        assert_eq!(session.credentials.access_key_id(), format!("ASIA{n}"));
        reused
    };
    for n in 0..MOST + 10 {
        tokio::time::advance(Duration::from_millis(10)).await;
        assert!(!ask(n).await);
        assert!(locked(&reuse.slots).len() <= MOST);
    }
    assert!(ask(MOST + 9).await && ask(10).await, "the newest stay");
    assert!(!ask(0).await, "the oldest went");
    // What is over goes first, all of it.
    tokio::time::advance(TIME).await;
    assert!(!ask(MOST + 10).await);
    assert_eq!(locked(&reuse.slots).len(), 1);
}

/// All slots in flight: one more is served, though not kept.
#[tokio::test(start_paused = true)]
async fn a_full_house_serves_one_more() {
    let wall = Wall::new();
    let reuse = wall.reuse();
    let ask = async |n: usize| {
        let expiry = Some(wall.now() + Duration::from_secs(900));
        let assume = async {
            sleep(Duration::from_secs(1)).await;
            Ok(session("ASIA", expiry))
        };
        reuse.session(key(n, 0, 0), deadline(), assume).await.is_ok_and(|(_, reused)| !reused)
    };
    assert!(join_all((0..MOST + 5).map(ask)).await.into_iter().all(|served| served));
    assert_eq!(locked(&reuse.slots).len(), MOST);
}
