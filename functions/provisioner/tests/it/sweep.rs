//! The sweeps: each event of a resource's life, broken at every single call of IAM in
//! every way, then CloudFormation's next moves. In the end IAM holds what it held before
//! or what was wished, nothing of ours is left over, and nothing foreign has changed.

pub mod operations;
pub mod play;
pub mod tally;

use std::sync::Mutex;
use std::thread;

use self::operations::{Ends, Operation, ends, operations};
use self::play::{Shock, Silence, hang, play};
use self::tally::{Tally, Trouble};
use crate::iam::Fault;

const THROTTLE: Fault = Fault::Refused(400, "Throttling", "Rate exceeded");
const CRASHES: [Fault; 5] = [
    THROTTLE,
    Fault::Refused(500, "ServiceFailure", "before it took effect"),
    Fault::Lost,
    Fault::Killed { after: false },
    Fault::Killed { after: true },
];
const HANGS: [Fault; 2] = [Fault::Hangs, Fault::HangsAfter];

/// What stops before a call leaves what is left after the call before it: enough for the
/// many variants.
const VARIANT_CRASHES: [Fault; 2] = [Fault::Lost, Fault::Killed { after: true }];

/// How each operation is broken.
fn shocks(operation: &Operation, ends: &Ends) -> Vec<Shock> {
    let crashes: &[Fault] = if operation.is_main() { &CRASHES } else { &VARIANT_CRASHES };
    let mut shocks: Vec<Shock> = crashes.iter().flat_map(|fault| taken(Shock::of(Some(fault.clone())))).collect();
    if ends.makes() {
        // What was just made is not seen at once, besides, for a while or longer.
        for settles in if operation.is_main() { &[true, false][..] } else { &[false] } {
            let settles = *settles;
            let killed = Some(Fault::Killed { after: true }).filter(|_| operation.is_main());
            for fault in [None].into_iter().chain(killed.map(Some)) {
                shocks.extend(taken(Shock { hidden: 2, settles, ..Shock::of(fault) }));
            }
        }
    }
    shocks
}

/// Each way in which CloudFormation can take a shock.
fn taken(shock: Shock) -> impl Iterator<Item = Shock> {
    let silent = matches!(shock.fault, Some(Fault::Killed { .. }));
    let silences: &[Silence] =
        if silent { &[Silence::Redelivered, Silence::TimedOut] } else { &[Silence::Redelivered] };
    silences.iter().map(move |silence| Shock { silence: *silence, ..shock.clone() })
}

/// What the next event meets, for the main operations.
fn second_shocks(operation: &Operation, _: &Ends) -> Vec<Shock> {
    if !operation.is_main() {
        return Vec::new();
    }
    let killed = || Fault::Killed { after: true };
    let pairs = [(THROTTLE, killed()), (killed(), THROTTLE)];
    let shock = |(first, second)| Shock { second: Some(second), silence: Silence::TimedOut, ..Shock::of(Some(first)) };
    pairs.map(shock).into()
}

/// Runs `scenario` for each operation, each of its shocks and each call, on all
/// processors; it returns how many scenarios there were, `None` when there is no such call.
fn sweep<S: Sync>(
    shocks: impl Fn(&Operation, &Ends) -> Vec<S> + Sync,
    scenario: impl AsyncFn(&Operation, &Ends, usize, &S, &mut Vec<(String, Trouble)>) -> Option<usize> + Sync,
) -> Tally {
    // SWEEP=adopted plays the operations alone whose names have the word.
    let word = std::env::var("SWEEP").unwrap_or_default();
    let operations: Vec<Operation> = operations().into_iter().filter(|one| one.name.contains(&word)).collect();
    let work: Mutex<Vec<(usize, usize)>> = Mutex::default();
    let tally: Mutex<Tally> = Mutex::default();
    let prepared: Vec<Ends> = operations.iter().map(|operation| paused(ends(operation))).collect();
    let all: Vec<Vec<S>> = operations.iter().zip(&prepared).map(|(operation, ends)| shocks(operation, ends)).collect();
    for (index, shocks) in all.iter().enumerate() {
        work.lock().unwrap().extend((0..shocks.len()).map(|shock| (index, shock)));
    }
    let next = || work.lock().unwrap().pop();
    let run = || {
        while let Some((index, shock)) = next() {
            let (operation, ends, shock) = (&operations[index], &prepared[index], &all[index][shock]);
            let mut found = Vec::new();
            let played = paused(async {
                let mut all = 0;
                for at in 0.. {
                    let Some(played) = scenario(operation, ends, at, shock, &mut found).await else { break };
                    all += played;
                }
                all
            });
            assert!(played > 0, "{}: no call was broken", operation.name);
            let mut tally = tally.lock().unwrap();
            tally.scenarios += played;
            tally.found.append(&mut found);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(run);
        }
    });
    tally.into_inner().unwrap()
}

/// On a clock that stands still but for what is waited for.
pub fn paused<T>(scenario: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(scenario)
}

/// C12, C16, C18, C22, C23, C24, C45, U13, U18, U22, U23 at every crash point.
#[test]
fn crash_sweep() {
    let tally = sweep(shocks, async |operation, ends, at, shock, found| play(operation, ends, at, shock, found).await);
    println!("crash sweep: {tally}");
    tally.assert_clean();
}

/// C18, C22, C23: what comes after a crash crashes too, at every call, and is tried again.
#[test]
fn second_crash_sweep() {
    let tally =
        sweep(second_shocks, async |operation, ends, at, shock, found| play(operation, ends, at, shock, found).await);
    println!("second crash sweep: {tally}");
    tally.assert_clean();
}

/// C27, C45: a call that never ends, whichever it is: the one answer comes at least three
/// seconds before Lambda's end and says which step was running; the stack then goes on.
#[test]
fn c27_c45_hang_sweep() {
    let shocks = |operation: &Operation, _: &Ends| if operation.is_main() { HANGS.to_vec() } else { Vec::new() };
    let tally = sweep(shocks, async |operation, ends, at, fault, found| {
        if !hang(operation, ends, at, fault, found).await {
            return None;
        }
        play(operation, ends, at, &Shock::of(Some(fault.clone())), found).await
    });
    println!("hang sweep: {tally}");
    tally.assert_clean();
}
