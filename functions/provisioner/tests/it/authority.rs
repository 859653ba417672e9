//! What events may ask for, whatever they claim: the bounds stand in the function's
//! environment, and what IAM shows already may stay.

use provisioner::code::Code;
use serde_json::{Value, json};

use crate::group_api::INVOCATIONS;
use crate::iam::Fault;
use crate::stage::{
    CHILD, GROUP_ARN, OWN_STACK, ROLE_ARN, STACK, Stage, create, delete, group, role, settings, update, with, writes,
};

const STRANGER: &str = "999988887777";
const THEIRS: &str = "arn:aws:iam::777788889999:role/sagemaker-external/SageMakerExternal";

/// A provisioner whose operator allows the child's account, one principal and nothing else.
fn narrow(more: &[(&str, &str)]) -> Stage {
    let principal = format!("arn:aws:iam::{STRANGER}:role/Invoker");
    let all = [
        ("GRANTABLE_ACCOUNT_IDS", CHILD),
        ("GRANTABLE_PRINCIPAL_ARNS", principal.as_str()),
        ("ALLOW_ANY_ENDPOINT", "false"),
        ("GROUPS_FOR_OTHER_STACKS", "false"),
    ];
    let stage = Stage::with(settings(&more.iter().chain(&all).copied().collect::<Vec<_>>()));
    stage.iam.world().users.extend(["alice", "bob", "admin"].map(str::to_owned));
    stage
}

/// Refused with this code and sentence, and nothing written.
async fn refused(stage: &Stage, event: &Value, says: &str) {
    stage.iam.take_calls();
    let ([reason, code], _) = stage.failure(event).await;
    assert!(reason.contains(says), "{reason}");
    assert_eq!(code, Code::NotPermitted.name(), "{reason}");
    assert_eq!(writes(&stage.iam.take_calls()), [""; 0]);
}

fn of_stack(event: Value, stack: &str) -> Value {
    with(event, json!({ "StackId": stack }))
}

/// S12: a role trusts the accounts and principals that the operator named, and no others,
/// whichever stack the event claims to be of, and whatever it says was there before.
#[tokio::test(start_paused = true)]
async fn s12_a_role_trusts_only_whom_the_operator_named() {
    let trusting = |accounts: &[&str], arns: &[&str]| {
        with(role(), json!({"TrustedAccountIds": accounts, "TrustedPrincipalArns": arns}))
    };
    let invoker = format!("arn:aws:iam::{STRANGER}:role/Invoker");
    for good in [
        trusting(&[CHILD], &[]),
        trusting(&[], &[&invoker]),
        trusting(&[], &["arn:aws:iam::444455556666:user/x/caller", &invoker]),
    ] {
        let stage = narrow(&[]);
        stage.succeed(&create(&good)).await;
    }
    let root = format!(
        "TrustedAccountIds: {STRANGER} is not an account that this provisioner may let in; its operator can add it to GrantableAccountIds of the provisioner's stack"
    );
    let single = format!("TrustedPrincipalArns: arn:aws:iam::{STRANGER}:role/Admin is neither");
    let own = "TrustedPrincipalArns: arn:aws:iam::111122223333:role/Admin is neither";
    for (bad, says) in [
        (trusting(&[CHILD, STRANGER], &[]), root.as_str()),
        (trusting(&[], &[&format!("arn:aws:iam::{STRANGER}:role/Admin")]), single.as_str()),
        (trusting(&[], &["arn:aws:iam::111122223333:role/Admin"]), own),
    ] {
        for stack in [STACK, OWN_STACK] {
            let stage = narrow(&[]);
            refused(&stage, &of_stack(create(&bad), stack), says).await;
            refused(&stage, &of_stack(create(&with(bad.clone(), json!({"DryRun": "true"}))), stack), says).await;
            let id = stage.created(&of_stack(create(&role()), stack)).await;
            for old in [&role(), &bad] {
                refused(&stage, &of_stack(update(&id, old, &bad), stack), says).await;
                let replaced = with(bad.clone(), json!({"RoleName": "Next"}));
                refused(&stage, &of_stack(update(&id, old, &replaced), stack), says).await;
            }
            stage.succeed(&of_stack(update(&id, &bad, &role()), stack)).await;
            stage.succeed(&of_stack(delete(&id, &bad), stack)).await;
            assert!(stage.iam.world().roles.is_empty());
        }
    }
}

/// Whom a role trusts already may stay when the operator takes the account off the list: an
/// Update of something else, its failure and its rollback go on; and a Delete is never blocked.
#[tokio::test(start_paused = true)]
async fn c18_a_trust_that_stands_does_not_block_what_comes_after() {
    let stage = narrow(&[("GRANTABLE_ACCOUNT_IDS", "444455556666,999988887777")]);
    let old = with(role(), json!({"TrustedAccountIds": [CHILD, STRANGER]}));
    let id = stage.created(&create(&old)).await;
    let stage = stage.redeployed(settings(&[("GRANTABLE_ACCOUNT_IDS", CHILD)]));
    let wine = with(old.clone(), json!({"EndpointNames": ["wine"]}));
    stage.iam.fault("CreatePolicyVersion", Fault::Refused(400, "ValidationError", "not so"));
    stage.fail(&update(&id, &old, &wine)).await;
    stage.succeed(&update(&id, &wine, &old)).await;
    stage.succeed(&update(&id, &old, &wine)).await;
    // Another resource claims the same: what it sees is not its own.
    let claim = with(create(&with(old.clone(), json!({"RoleName": "Other"}))), json!({"LogicalResourceId": "Other"}));
    refused(&stage, &claim, STRANGER).await;
    let next = with(wine.clone(), json!({"RoleName": "Next"}));
    refused(&stage, &update(&id, &wine, &next), STRANGER).await;
    stage.succeed(&update(&id, &next, &wine)).await;
    stage.succeed(&delete(&id, &wine)).await;
    assert!(stage.iam.world().roles.is_empty());
}

/// S07: rights that no name or no region bounds need the operator's word; those that stand
/// may stay, and grow by nothing.
#[tokio::test(start_paused = true)]
async fn s07_any_endpoint_needs_the_operators_word() {
    let any = with(role(), json!({"EndpointNames": ["*"], "AllowAnyEndpoint": "true"}));
    let component = with(role(), json!({"InferenceComponentNames": ["*"], "AllowAnyEndpoint": "true"}));
    let split = with(any.clone(), json!({"Regions": ["us-east-1", "eu-west-1"]}));
    let everywhere = with(role(), json!({"Regions": ["*"]}));
    for bad in [&any, &component, &split, &everywhere] {
        let stage = narrow(&[]);
        refused(&stage, &create(bad), "the operator can set AllowAnyEndpoint of the provisioner's stack to true").await;
        let id = stage.created(&create(&with(role(), json!({"Regions": ["us-east-1", "eu-west-1"]})))).await;
        refused(&stage, &update(&id, bad, bad), "AllowAnyEndpoint").await;

        let stage = narrow(&[("ALLOW_ANY_ENDPOINT", "true")]);
        let id = stage.created(&create(bad)).await;
        let stage = stage.redeployed(settings(&[("ALLOW_ANY_ENDPOINT", "false")]));
        let shorter = with(bad.clone(), json!({"Operations": ["InvokeEndpoint"], "MaxSessionDuration": "7200"}));
        stage.succeed(&update(&id, bad, &shorter)).await;
        let wider = with(bad.clone(), json!({"Operations": ["InvokeEndpointAsync"]}));
        refused(&stage, &update(&id, &shorter, &wider), "AllowAnyEndpoint").await;
        stage.succeed(&delete(&id, &wider)).await;
    }
}

/// S10: stacks other than the provisioner's own make groups only where the operator lets them;
/// a group that stands may stay and shrink.
#[tokio::test(start_paused = true)]
async fn s10_other_stacks_make_groups_only_where_the_operator_lets_them() {
    let members = |names: &[&str]| with(group(), json!({"UserNames": names, "ApiArns": [INVOCATIONS]}));
    let says = "its operator can set GroupsForOtherStacks of its stack to true";
    let stage = narrow(&[]);
    refused(&stage, &create(&group()), says).await;
    assert_eq!(stage.iam.take_calls(), [""; 0], "before any call: the rights to look are not there either");

    let stage = narrow(&[("GROUPS_FOR_OTHER_STACKS", "true")]);
    let id = stage.created(&create(&members(&["alice", "bob"]))).await;
    let stage = stage.redeployed(settings(&[("GROUPS_FOR_OTHER_STACKS", "false")]));
    for wider in [
        json!({"UserNames": ["alice", "admin"]}),
        json!({"RoleArns": [THEIRS, "arn:aws:iam::777788889999:role/Another"]}),
        json!({"ApiArns": [INVOCATIONS.replace("invocations", "other")]}),
        json!({"GroupName": "Next"}),
    ] {
        let wider = with(members(&["alice", "bob"]), wider);
        refused(&stage, &update(&id, &wider, &wider), says).await;
        stage.succeed(&update(&id, &wider, &members(&["alice", "bob"]))).await;
    }
    stage.succeed(&update(&id, &members(&["alice", "bob"]), &members(&["alice"]))).await;
    // The rights went with the parameter: the reason says which.
    for _ in 0..20 {
        stage.iam.fault("GetGroup", Fault::Refused(403, "AccessDenied", "not authorized"));
    }
    let ([reason, code], _) = stage.failure(&delete(&id, &members(&["alice"]))).await;
    assert!(code == Code::ReadDenied.name() && reason.contains(says), "{reason}");
    stage.iam.world().faults.clear();
    stage.succeed(&delete(&id, &members(&["alice"]))).await;
    assert!(stage.iam.world().groups.is_empty());
}

/// S10, S12: an event that claims the provisioner's own stack is bound by that stack's
/// parameters, whatever it says of itself.
#[tokio::test(start_paused = true)]
async fn s10_s12_the_own_stacks_group_is_bound_by_its_parameters() {
    let own = [("OWN_GROUP", "true"), ("OWN_GROUP_USER_NAMES", "Alice,bob"), ("OWN_GROUP_ROLE_ARNS", THEIRS)];
    let members = |names: &[&str]| with(group(), json!({"UserNames": names, "ApiArns": [INVOCATIONS]}));
    let ours = |event: Value| of_stack(event, OWN_STACK);
    let stage = narrow(&[]);
    refused(&stage, &ours(create(&group())), "its operator can set CreateGroup of it to true").await;

    let stage = narrow(&own);
    let id = stage.created(&ours(create(&members(&["alice"])))).await;
    assert_eq!(id, GROUP_ARN);
    stage.succeed(&ours(update(&id, &members(&["alice"]), &members(&["alice", "bob"])))).await;
    for (forged, says) in [
        (json!({"UserNames": ["admin"]}), "UserNames: admin is not one of UserNames of the provisioner's stack"),
        (
            json!({"RoleArns": ["arn:aws:iam::777788889999:role/Another"]}),
            "RoleArns: arn:aws:iam::777788889999:role/Another is not",
        ),
        (json!({"ApiArns": [INVOCATIONS.replace("endpoints", "payroll")]}), "ApiArns: "),
        (json!({"GroupName": "Next", "UserNames": ["admin"]}), "UserNames: admin"),
    ] {
        let forged = with(members(&["alice"]), forged);
        for old in [&members(&["alice", "bob"]), &forged] {
            refused(&stage, &ours(update(&id, old, &forged)), says).await;
        }
    }
    // Whom somebody put there by hand may be named; and another stack may make none.
    stage.iam.world().groups.get_mut("sagemakertester").unwrap().users.insert("admin".to_owned());
    stage.succeed(&ours(update(&id, &members(&["alice", "bob"]), &members(&["alice", "bob", "admin"])))).await;
    let other = with(create(&with(group(), json!({"GroupName": "Other"}))), json!({"LogicalResourceId": "Other"}));
    refused(&stage, &other, "GroupsForOtherStacks").await;
    stage.succeed(&ours(delete(&id, &members(&["alice", "bob", "admin"])))).await;

    // With Grants the roles are many: any of other accounts.
    let stage = narrow(&[("OWN_GROUP", "true"), ("OWN_GROUP_ROLE_ARNS", "*")]);
    stage.succeed(&ours(create(&with(group(), json!({"RoleArns": ["arn:aws:iam::777788889999:role/R"]}))))).await;
}

/// S10: of its own account a group may be given the roles that the provisioner itself may
/// make or adopt, and what the own stack's parameter names; no administrator's role.
#[tokio::test(start_paused = true)]
async fn s10_a_group_is_given_no_other_role_of_its_own_account() {
    const ADMIN: &str = "arn:aws:iam::111122223333:role/Admin";
    const BY_HAND: &str = "arn:aws:iam::111122223333:role/SageMakerExternal";
    let of = |roles: &[&str]| with(group(), json!({ "RoleArns": roles }));
    let says = format!("RoleArns: {ADMIN} is a role of this account outside /sagemaker-external/");
    // The own stack has more ways out than AdoptArns, which hands the role to the provisioner.
    let others = "can name it there in AdoptArns";
    let own = "in RoleArn, which excludes Grants, or in AdoptArns, or set CreateGroup to false";
    for (environment, stack, remedy) in [
        (&[("GROUPS_FOR_OTHER_STACKS", "true"), ("ADOPT_ARNS", BY_HAND)][..], STACK, others),
        (&[("OWN_GROUP", "true"), ("OWN_GROUP_ROLE_ARNS", "*"), ("ADOPT_ARNS", BY_HAND)], OWN_STACK, own),
    ] {
        let stage = narrow(environment);
        refused(&stage, &of_stack(create(&of(&[ROLE_ARN, ADMIN])), stack), &says).await;
        refused(&stage, &of_stack(create(&of(&[ROLE_ARN, ADMIN])), stack), remedy).await;
        let id = stage.created(&of_stack(create(&of(&[ROLE_ARN, BY_HAND])), stack)).await;
        refused(&stage, &of_stack(update(&id, &of(&[ADMIN]), &of(&[ADMIN])), stack), &says).await;
        stage.succeed(&of_stack(delete(&id, &of(&[ADMIN])), stack)).await;
    }
    let stage = narrow(&[("OWN_GROUP", "true"), ("OWN_GROUP_ROLE_ARNS", ADMIN)]);
    stage.succeed(&of_stack(create(&of(&[ADMIN])), OWN_STACK)).await;
}

/// What is not set, or set to nothing, allows nothing; what is broken is told, and blocks no
/// Delete.
#[tokio::test(start_paused = true)]
async fn c35_missing_bounds_allow_nothing_and_broken_ones_are_told() {
    const NAMES: [&str; 8] = [
        "OWN_STACK_ID",
        "GRANTABLE_ACCOUNT_IDS",
        "GRANTABLE_PRINCIPAL_ARNS",
        "ALLOW_ANY_ENDPOINT",
        "GROUPS_FOR_OTHER_STACKS",
        "OWN_GROUP",
        "OWN_GROUP_USER_NAMES",
        "OWN_GROUP_ROLE_ARNS",
    ];
    let stage = Stage::with(settings(&NAMES.map(|name| (name, ""))));
    for properties in [role(), group()] {
        let ([_, code], _) = stage.failure(&create(&properties)).await;
        assert_eq!(code, Code::NotPermitted.name());
        // No stack is the own one, not even one without an id.
        stage.fail(&of_stack(create(&properties), "")).await;
    }
    let stage = Stage::new();
    let id = stage.created(&create(&role())).await;
    for (name, value) in [
        ("GRANTABLE_ACCOUNT_IDS", "444455556666,*"),
        ("GRANTABLE_PRINCIPAL_ARNS", "arn:aws:iam::444455556666:root"),
        ("ALLOW_ANY_ENDPOINT", "yes"),
        ("GROUPS_FOR_OTHER_STACKS", "1"),
        ("OWN_GROUP", "TRUE"),
        ("OWN_GROUP_USER_NAMES", "a/b"),
        ("OWN_GROUP_ROLE_ARNS", "arn:aws:iam::444455556666:role/*"),
    ] {
        let broken = stage.redeployed(settings(&[(name, value)]));
        let ([reason, code], _) = broken.failure(&update(&id, &role(), &role())).await;
        assert!(reason.starts_with(&format!("the function's variable {name}: ")), "{reason}");
        assert_eq!(code, Code::NotSetUp.name());
    }
    let broken = stage.redeployed(settings(&[("OWN_GROUP", "TRUE")]));
    broken.succeed(&delete(&id, &role())).await;
}
