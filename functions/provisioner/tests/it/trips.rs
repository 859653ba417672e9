//! How long an event waits for IAM: the longest chain of calls that wait for each other,
//! and how many there are of which kind. Exact, so that none comes back unseen.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::stage::{Stage, create, delete, group, role, update, with, writes};

/// What an event took of IAM.
#[derive(Debug, Default, PartialEq, Eq)]
struct Trips {
    /// Calls that are under way at the same time count once.
    sequential: u128,
    reads: usize,
    writes: usize,
    /// The most calls that were under way at the same time.
    at_once: usize,
}

/// So long that what a timer adds to it is lost in the rounding.
const LATENCY: Duration = Duration::from_secs(1);

/// The event goes well, and takes this.
async fn trips(stage: &Stage, event: &Value) -> (String, Trips) {
    stage.iam.take_calls();
    {
        let mut world = stage.iam.world();
        (world.latency, world.most_in_flight) = (LATENCY, 0);
        // As IAM does by default.
        world.page = 100;
    }
    let start = Instant::now();
    let answer = stage.succeed(event).await;
    let sequential = start.elapsed().as_millis() / LATENCY.as_millis();
    let calls = stage.iam.take_calls();
    let written = writes(&calls).len();
    let mut world = stage.iam.world();
    world.latency = Duration::ZERO;
    assert_eq!(world.in_flight, 0, "none is left under way");
    let id = answer["PhysicalResourceId"].as_str().unwrap_or_default().to_owned();
    (id, Trips { sequential, reads: calls.len() - written, writes: written, at_once: world.most_in_flight })
}

fn taken(sequential: u128, reads: usize, writes: usize, at_once: usize) -> Trips {
    Trips { sequential, reads, writes, at_once }
}

/// Properties of the role for other endpoints.
fn granting(names: &[&str]) -> Value {
    with(role(), json!({ "EndpointNames": names }))
}

/// One read, with the two names of policies that end the count; then role with its
/// boundary, policy, attachment (U37).
#[tokio::test(start_paused = true)]
async fn a_role_is_created_in_four_sequential_round_trips() {
    let stage = Stage::new();
    assert_eq!(trips(&stage, &create(&role())).await.1, taken(4, 3, 3, 3));
}

#[tokio::test(start_paused = true)]
async fn an_update_of_a_role_that_changes_nothing_is_two_sequential_reads() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    let same = with(role(), json!({"ServiceTimeout": "151"}));
    assert_eq!(trips(&stage, &update(&id, &role(), &same)).await.1, taken(2, 10, 0, 7));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_is_added_to_a_role_in_three_sequential_round_trips() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    assert_eq!(trips(&stage, &update(&id, &role(), &granting(&["iris", "wine"]))).await.1, taken(3, 10, 1, 7));
}

/// All twenty names that a policy of ours can have are looked up, ten at once, the second
/// ten beside what hangs on the role; then detachment, policy, role (U37).
#[tokio::test(start_paused = true)]
async fn a_role_is_deleted_in_five_sequential_round_trips() {
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    assert_eq!(trips(&stage, &delete(&id, &role())).await.1, taken(5, 27, 3, 16));
}

/// Old versions of the policy go at once, however many there are.
#[tokio::test(start_paused = true)]
async fn a_role_that_was_updated_is_deleted_in_six_sequential_round_trips() {
    for (updates, writes) in [(1, 4), (4, 7), (6, 7)] {
        let stage = Stage::new();
        let id = stage.created(&create(&role())).await;
        let mut old = role();
        for n in 0..updates {
            let new = granting(&["iris", &format!("wine-{n}")]);
            stage.succeed(&update(&id, &old, &new)).await;
            old = new;
        }
        assert_eq!(trips(&stage, &delete(&id, &old)).await.1, taken(6, 27, writes, 16), "{updates} updates");
    }
}

/// The largest grants are read in parts: seven policies in two parts take five trips at most,
/// where one after the other they would take fourteen.
#[tokio::test(start_paused = true)]
async fn the_policies_of_a_large_grant_are_read_while_others_are_looked_up() {
    let names: Vec<String> = (0..400).map(|n| format!("an-endpoint-with-a-name-as-long-as-they-get-{n:03}")).collect();
    let large = with(role(), json!({ "EndpointNames": names }));
    let stage = Stage::new();
    let id = stage.created(&create(&large)).await;
    assert_eq!(stage.iam.world().policies.len(), 7);
    assert_eq!(trips(&stage, &update(&id, &large, &large)).await.1, taken(5, 34, 0, 11));
    assert_eq!(trips(&stage, &delete(&id, &large)).await.1, taken(18, 45, 15, 28));
}

const USERS: [&str; 5] = ["a", "b", "c", "d", "e"];

fn members(names: &[&str]) -> Value {
    with(group(), json!({ "UserNames": names }))
}

fn inhabited() -> Stage {
    let stage = Stage::new();
    stage.iam.world().users.extend(USERS.map(str::to_owned));
    stage
}

/// One read; group, policy, and all members at once.
#[tokio::test(start_paused = true)]
async fn a_group_is_created_in_three_sequential_round_trips_and_one_more_with_members() {
    let stage = inhabited();
    assert_eq!(trips(&stage, &create(&group())).await.1, taken(3, 1, 2, 1));
    let stage = inhabited();
    assert_eq!(trips(&stage, &create(&members(&USERS))).await.1, taken(4, 1, 7, 5));
}

/// The group, its lists, and what its policy says.
#[tokio::test(start_paused = true)]
async fn an_update_of_a_group_that_changes_nothing_is_three_sequential_reads() {
    let stage = inhabited();
    let id = stage.created(&create(&members(&USERS))).await;
    let same = with(members(&USERS), json!({"ServiceTimeout": "151"}));
    assert_eq!(trips(&stage, &update(&id, &members(&USERS), &same)).await.1, taken(3, 4, 0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_role_is_added_to_a_group_in_four_sequential_round_trips() {
    let stage = inhabited();
    let id = stage.created(&create(&members(&USERS))).await;
    let roles = ["SageMakerExternal", "Other"].map(|name| format!("arn:aws:iam::777788889999:role/{name}"));
    let more = with(members(&USERS), json!({ "RoleArns": roles }));
    assert_eq!(trips(&stage, &update(&id, &members(&USERS), &more)).await.1, taken(4, 4, 1, 2));
}

/// Members at once, then the policy, which is the mark, and the group.
#[tokio::test(start_paused = true)]
async fn a_group_is_deleted_in_five_sequential_round_trips_and_one_more_with_members() {
    for (wish, wanted) in [(group(), taken(5, 4, 2, 2)), (members(&USERS), taken(6, 4, 7, 5))] {
        let stage = inhabited();
        let id = stage.created(&create(&wish)).await;
        assert_eq!(trips(&stage, &delete(&id, &wish)).await.1, wanted);
    }
}
