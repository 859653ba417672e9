"""A child without a group: made so, and switched to it and back, also by another Side. Nothing stays behind."""

import json
from collections.abc import Iterator

import pytest

from tests import deploy, people
from tests.cloud.client import Cloud
from tests.cloud.endpoints import REGION, Endpoint
from tests.deploy import DeployFailed, Stack
from tests.e2e.world import PATH, as_list
from tests.holdings import holdings

# An account of its own: each test begins and ends with nothing in it.
ACCOUNT, PARENT = "262626262626", "131313131313"
NAME = "child"
GROUP = f"arn:aws:iam::{ACCOUNT}:group{PATH}SagemakerTester"
BY_HAND = f"arn:aws:iam::{ACCOUNT}:group/ByHand"
# Nobody assumes it.
GRANTED = f"arn:aws:iam::{PARENT}:role{PATH}Granted"
NO_GROUP = {"CreateGroup": "false", "UserNames": ""}


@pytest.fixture(scope="module", autouse=True)
def alice(cloud: Cloud) -> None:
    cloud.put_endpoint(Endpoint(ACCOUNT, REGION, "own", "echo"))
    people.user(cloud, ACCOUNT, "alice")


@pytest.fixture(autouse=True)
def leaves_nothing(cloud: Cloud) -> Iterator[None]:
    yield
    if deploy.status(cloud, ACCOUNT, NAME):
        deploy.delete(cloud, ACCOUNT, NAME)
    assert holdings(cloud, ACCOUNT) == {}


def child(cloud: Cloud, **given: object) -> Stack:
    overrides = {"RoleArn": GRANTED, "EndpointNames": ["iris"], "UserNames": ["alice"], **given}
    return deploy.deploy(cloud, ACCOUNT, "child", overrides, NAME)


def group_rights(cloud: Cloud) -> set[str]:
    """The actions on groups that any policy of the account allows."""
    documents = [
        document
        for held in holdings(cloud, ACCOUNT).values()
        for document in (*held.get("inline", {}).values(), *held.get("versions", {}).values())
    ]
    actions = {
        action
        for document in documents
        for statement in document["Statement"]
        for action in as_list(statement.get("Action", []))
    }
    return {action for action in actions if "Group" in action}


def failures(cloud: Cloud) -> list[str]:
    return [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
        for event in deploy.events(cloud, ACCOUNT, NAME)
        if event["ResourceStatus"] == "DELETE_FAILED"
    ]


def test_a_child_without_a_group_holds_no_right_on_groups(cloud: Cloud):
    stack = child(cloud, **NO_GROUP)
    assert GROUP not in holdings(cloud, ACCOUNT)
    assert "GroupArn" not in stack.outputs and stack.outputs["ApiUrl"]
    assert group_rights(cloud) == set()


def switched_off(cloud: Cloud) -> None:
    child(cloud, **NO_GROUP)


def turned_into_a_parent(cloud: Cloud) -> None:
    # What a parent must leave alone is a child's value in this stack.
    deploy.deploy(
        cloud,
        ACCOUNT,
        "parent",
        {"EndpointNames": ["own"], "TrustedAccountIds": [PARENT], "UserNames": "", "RoleArn": ""},
        NAME,
    )


def trial(cloud: Cloud) -> None:
    deploy.deploy(cloud, ACCOUNT, "default", {"EndpointNames": ["own"], "UserNames": ["alice"]}, NAME)


@pytest.mark.parametrize(
    ("begin", "change"),
    [(child, switched_off), (child, turned_into_a_parent), (trial, turned_into_a_parent)],
    ids=["child-switched-off", "child-to-parent", "both-to-parent"],
)
def test_s10_the_group_goes_and_its_rights_after_it(cloud: Cloud, begin, change):
    """A group that outlived the rights would stay behind under a stack that says UPDATE_COMPLETE."""
    begin(cloud)
    assert GROUP in holdings(cloud, ACCOUNT) and group_rights(cloud)
    with cloud.recording() as seen:
        change(cloud)
    assert deploy.status(cloud, ACCOUNT, NAME) == "UPDATE_COMPLETE"
    assert failures(cloud) == []
    assert [call["status"] for call in seen.of("iam", "DeleteGroup")] == [200]
    assert GROUP not in holdings(cloud, ACCOUNT)
    assert group_rights(cloud) == set()


def test_a_group_that_comes_back_has_its_rights_again(cloud: Cloud):
    child(cloud, **NO_GROUP)
    child(cloud, CreateGroup="true")
    assert holdings(cloud, ACCOUNT)[GROUP]["users"] == ["alice"]


@pytest.fixture
def by_hand(cloud: Cloud) -> Iterator[dict]:
    """A group that somebody made, as it was found."""
    iam = cloud.admin(ACCOUNT).client("iam")
    iam.create_group(GroupName="ByHand")
    try:
        yield holdings(cloud, ACCOUNT)[BY_HAND]
    finally:
        if deploy.status(cloud, ACCOUNT, NAME):
            deploy.delete(cloud, ACCOUNT, NAME)
        iam.delete_group(GroupName="ByHand")


@pytest.mark.parametrize("others", ["false", "true"], ids=["ours-alone", "others-too"])
def test_an_adopted_group_is_given_back_when_it_is_switched_off(cloud: Cloud, by_hand: dict, others: str):
    adopting = {"AdoptArns": [BY_HAND], "GroupsForOtherStacks": others}
    child(cloud, GroupName="ByHand", **adopting)
    assert holdings(cloud, ACCOUNT)[BY_HAND]["users"] == ["alice"]
    child(cloud, **adopting, **NO_GROUP)
    assert failures(cloud) == []
    assert holdings(cloud, ACCOUNT)[BY_HAND] == by_hand
    child(cloud, **{**adopting, "AdoptArns": ""}, **NO_GROUP)
    assert holdings(cloud, ACCOUNT)[BY_HAND] == by_hand


@pytest.mark.parametrize("others", ["false", "true"], ids=["ours-alone", "others-too"])
def test_an_adopted_group_whose_name_goes_at_once_stays_and_an_event_says_why(cloud: Cloud, by_hand: dict, others: str):
    """As docs/from-the-console.md says, with the way out of it."""
    adopting = {"AdoptArns": [BY_HAND], "GroupsForOtherStacks": others}
    child(cloud, GroupName="ByHand", **adopting)
    adopted = holdings(cloud, ACCOUNT)[BY_HAND]
    child(cloud, AdoptArns="", GroupsForOtherStacks=others, **NO_GROUP)
    assert deploy.status(cloud, ACCOUNT, NAME) == "UPDATE_COMPLETE"
    (failed,) = failures(cloud)
    assert failed.startswith("ExternalGroup: ") and "AdoptArns" in failed
    assert holdings(cloud, ACCOUNT)[BY_HAND] == adopted
    child(cloud, GroupName="ByHand", CreateGroup="true", **adopting)
    child(cloud, **adopting, **NO_GROUP)
    assert failures(cloud) == [failed]
    assert holdings(cloud, ACCOUNT)[BY_HAND] == by_hand


def test_members_of_others_do_not_keep_a_group_that_is_switched_off(cloud: Cloud):
    child(cloud)
    iam = cloud.admin(ACCOUNT).client("iam")
    people.user(cloud, ACCOUNT, "bob")
    iam.add_user_to_group(GroupName="SagemakerTester", UserName="bob")
    child(cloud, **NO_GROUP)
    assert deploy.status(cloud, ACCOUNT, NAME) == "UPDATE_COMPLETE"
    assert failures(cloud) == []
    assert GROUP not in holdings(cloud, ACCOUNT)


def test_policies_of_others_keep_a_switched_off_group_without_its_rights(cloud: Cloud):
    child(cloud)
    iam = cloud.admin(ACCOUNT).client("iam")
    others = json.dumps({"Version": "2012-10-17", "Statement": [people.allow("s3:ListBucket")]})
    iam.put_group_policy(GroupName="SagemakerTester", PolicyName="Others", PolicyDocument=others)
    try:
        child(cloud, **NO_GROUP)
        assert deploy.status(cloud, ACCOUNT, NAME) == "UPDATE_COMPLETE"
        left = holdings(cloud, ACCOUNT)[GROUP]
        assert (left["users"], list(left["inline"])) == ([], ["Others"])
    finally:
        iam.delete_group_policy(GroupName="SagemakerTester", PolicyName="Others")
        iam.delete_group(GroupName="SagemakerTester")


def test_switching_off_in_an_update_that_fails_leaves_the_group(cloud: Cloud):
    child(cloud)
    before = holdings(cloud, ACCOUNT)
    with pytest.raises(DeployFailed, match="UPDATE_ROLLBACK_COMPLETE"):
        child(cloud, RoleArn="", EndpointNames="", Grants='[{"RoleArn":"none"}]', **NO_GROUP)
    assert holdings(cloud, ACCOUNT) == before


def test_a_trial_may_do_without_a_group_too(cloud: Cloud):
    caller = people.user(cloud, ACCOUNT, "caller", people.allow("execute-api:Invoke"))
    trial = deploy.deploy(cloud, ACCOUNT, "default", {"EndpointNames": ["own"], "CreateGroup": "false"}, NAME)
    api = caller.api(trial.outputs["ApiUrl"])
    assert api.invoke_endpoint(EndpointName="own", Body=b"x")["Body"].read() == b"x"
    assert group_rights(cloud) == set()
