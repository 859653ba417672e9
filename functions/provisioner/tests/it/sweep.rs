//! The sweeps: each event of a resource's life, broken at every single call of IAM in
//! every way, then CloudFormation's next moves. In the end IAM holds what it held before
//! or what was wished, nothing of ours is left over, and nothing foreign has changed.

pub mod operations;
pub mod play;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use self::operations::{Ends, Operation, ends, operations};
use self::play::{Shock, Silence, hang, play};
use crate::iam::Fault;

const CRASHES: [Fault; 5] = [
    Fault::Refused(400, "Throttling", "Rate exceeded"),
    Fault::Refused(500, "ServiceFailure", "before it took effect"),
    Fault::Lost,
    Fault::Killed { after: false },
    Fault::Killed { after: true },
];
const HANGS: [Fault; 2] = [Fault::Hangs, Fault::HangsAfter];

/// How each operation is broken.
fn shocks(_: &Operation, ends: &Ends) -> Vec<Shock> {
    let with = |fault: &Fault, hidden: usize| {
        let silent = matches!(fault, Fault::Killed { .. });
        let silences: &[Silence] =
            if silent { &[Silence::Redelivered, Silence::TimedOut] } else { &[Silence::Redelivered] };
        let shock = Shock { fault: Some(fault.clone()), silence: Silence::Redelivered, hidden };
        silences.iter().map(move |silence| Shock { silence: *silence, ..shock.clone() })
    };
    let mut shocks: Vec<Shock> = CRASHES.iter().flat_map(|fault| with(fault, 0)).collect();
    if ends.makes() {
        // What was just made is not seen at once, besides.
        shocks.push(Shock { fault: None, silence: Silence::Redelivered, hidden: 2 });
        shocks.extend([Fault::Lost, Fault::Killed { after: true }].iter().flat_map(|fault| with(fault, 2)));
    }
    shocks
}

/// Runs `scenario` for each operation, each of its shocks and each call, on all
/// processors; returns how many there were in all.
fn sweep<S: Sync>(
    shocks: impl Fn(&Operation, &Ends) -> Vec<S> + Sync,
    scenario: impl AsyncFn(&Operation, &Ends, usize, &S) -> usize + Sync,
) -> usize {
    let operations = operations();
    let work: Mutex<Vec<(usize, usize)>> = Mutex::default();
    let scenarios = AtomicUsize::new(0);
    let prepared: Vec<Ends> = operations.iter().map(|operation| paused(ends(operation))).collect();
    let all: Vec<Vec<S>> = operations.iter().zip(&prepared).map(|(operation, ends)| shocks(operation, ends)).collect();
    for (index, shocks) in all.iter().enumerate() {
        work.lock().unwrap().extend((0..shocks.len()).map(|shock| (index, shock)));
    }
    let next = || work.lock().unwrap().pop();
    let run = || {
        while let Some((index, shock)) = next() {
            let (operation, ends, shock) = (&operations[index], &prepared[index], &all[index][shock]);
            let played = paused(async {
                let mut all = 0;
                for at in 0.. {
                    match scenario(operation, ends, at, shock).await {
                        0 => break,
                        some => all += some,
                    }
                }
                all
            });
            assert!(played > 0, "{}: no call was broken", operation.name);
            scenarios.fetch_add(played, Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(run);
        }
    });
    scenarios.into_inner()
}

/// On a clock that stands still but for what is waited for.
pub fn paused<T>(scenario: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(scenario)
}

/// C12, C16, C18, C22, C23, C24, C45, U13, U18, U22, U23 at every crash point.
#[test]
fn crash_sweep() {
    let scenarios = sweep(shocks, async |operation, ends, at, shock| play(operation, ends, at, shock).await);
    println!("crash sweep: {scenarios} scenarios, 0 orphans, 0 foreign changes, 0 unanswered");
}

/// C27, C45: a call that never ends, whichever it is: the one answer comes at least three
/// seconds before Lambda's end and says which step was running; the stack then goes on.
#[test]
fn c27_c45_hang_sweep() {
    let shocks = |_: &Operation, _: &Ends| HANGS.to_vec();
    let scenarios = sweep(shocks, async |operation, ends, at, fault| {
        hang(operation, ends, at, fault).await;
        let shock = Shock { fault: Some(fault.clone()), silence: Silence::Redelivered, hidden: 0 };
        play(operation, ends, at, &shock).await
    });
    println!("hang sweep: {scenarios} scenarios, 0 late, 0 unanswered, 0 orphans");
}
