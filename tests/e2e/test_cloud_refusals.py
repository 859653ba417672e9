"""What AWS refuses and ministack alone would not: the local cloud refuses it too, in AWS's own words if known."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from tests import deploy, people, plain
from tests.cloud.client import Cloud
from tests.e2e.world import World, refused

# Accounts that no other test uses.
STACKS, USERS = "161616161616", "171717171717"
API_WITH_LOGS = """
Resources:
  Api:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: logged}
  Method:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !GetAtt Api.RootResourceId
      HttpMethod: GET
      AuthorizationType: NONE
      Integration: {Type: MOCK}
  Deployment:
    Type: AWS::ApiGateway::Deployment
    DependsOn: Method
    Properties: {RestApiId: !Ref Api}
  Stage:
    Type: AWS::ApiGateway::Stage
    Properties:
      RestApiId: !Ref Api
      DeploymentId: !Ref Deployment
      StageName: v1
      AccessLogSetting:
        DestinationArn: !Sub arn:aws:logs:${AWS::Region}:${AWS::AccountId}:log-group:calls
        Format: $context.extendedRequestId
"""


def asked(world: World, path: str, region: str, headers: dict[str, str] | None = None) -> tuple[int, str, dict]:
    """Status, error type and body of a GET that a member of the group signs for this Region."""
    url = f"{world.api_url}{path}"
    signed = AWSRequest("GET", url, headers=headers)
    if headers is None:
        SigV4Auth(world.tester.session.get_credentials(), "execute-api", region).add_auth(signed)
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(urllib.request.Request(url, headers=dict(signed.headers)))
    return raised.value.code, raised.value.headers["x-amzn-ErrorType"], json.load(raised.value)


def test_a_signature_for_another_region_is_refused(world: World):
    with world.nothing_called():
        assert asked(world, "/endpoints", "eu-west-1") == (
            403,
            "InvalidSignatureException",
            {"message": "Credential should be scoped to a valid region, not 'eu-west-1'. "},
        )


@pytest.mark.parametrize("path", ["/nowhere", "/endpoints/iris/nothing", "/endpoints/iris/invocations"])
def test_an_unknown_path_or_method_looks_like_a_missing_signature(world: World, path: str):
    with world.nothing_called():
        assert asked(world, path, world.cloud.region) == (
            403,
            "MissingAuthenticationTokenException",
            {"message": "Missing Authentication Token"},
        )


def test_a_token_on_an_unknown_path_is_read_as_a_signature(world: World):
    """What somebody with a user pool's token sees who has the wrong URL."""
    status, kind, said = asked(world, "/nowhere", world.cloud.region, {"Authorization": "Bearer a.b.c"})
    assert (status, kind) == (403, "IncompleteSignatureException")
    assert "Authorization header" in said["message"]


def test_an_unknown_stage_is_forbidden(world: World):
    url = f"{world.api_url.rpartition('/')[0]}/v2/endpoints"
    with plain.sent(world.tester, "GET", url) as answer:
        assert (answer.status, json.load(answer)) == (403, {"message": "Forbidden"})


def test_a_stack_whose_creation_was_rolled_back_must_be_deleted_first(cloud: Cloud):
    """And it is rolled back because the account has no role for access logs."""
    with pytest.raises(deploy.DeployFailed, match="CloudWatch Logs role ARN must be set in account settings"):
        deploy.deploy_template(cloud, STACKS, "logged", API_WITH_LOGS)
    assert deploy.status(cloud, STACKS, "logged") == "ROLLBACK_COMPLETE"
    cloudformation = cloud.admin(STACKS).client("cloudformation")
    named = {"StackName": "logged", "TemplateBody": API_WITH_LOGS}
    change = {**named, "ChangeSetName": "again"}
    attempts = {
        "is in ROLLBACK_COMPLETE state and can not be updated": lambda: cloudformation.create_change_set(
            **change, ChangeSetType="UPDATE"
        ),
        "cannot be created again": lambda: cloudformation.create_change_set(**change, ChangeSetType="CREATE"),
        "already exists": lambda: cloudformation.create_stack(**named),
        "state and can not be updated": lambda: cloudformation.update_stack(**named),
    }
    for says, attempt in attempts.items():
        with pytest.raises(ClientError, match=says):
            attempt()
    deploy.delete(cloud, STACKS, "logged")
    with logs_role(cloud):
        deploy.deploy_template(cloud, STACKS, "logged", API_WITH_LOGS)
        deploy.delete(cloud, STACKS, "logged")


@contextmanager
def logs_role(cloud: Cloud) -> Iterator[None]:
    """The account has a role for access logs while the block runs."""
    account = cloud.admin(STACKS).client("apigateway")
    patch = {"path": "/cloudwatchRoleArn", "value": f"arn:aws:iam::{STACKS}:role/logs"}
    account.update_account(patchOperations=[{"op": "replace", **patch}])
    try:
        yield
    finally:
        account.update_account(patchOperations=[{"op": "remove", **patch}])


def test_a_user_is_found_whatever_the_case_of_the_name(cloud: Cloud):
    people.user(cloud, USERS, "Alice")
    iam = cloud.admin(USERS).client("iam")
    assert iam.get_user(UserName="alice")["User"]["UserName"] == "Alice"
    with refused(409, "EntityAlreadyExists"):
        iam.create_user(UserName="ALICE")
    iam.create_group(GroupName="team")
    iam.add_user_to_group(GroupName="team", UserName="aLICE")
    iam.add_user_to_group(GroupName="team", UserName="Alice")
    assert [user["UserName"] for user in iam.get_group(GroupName="team")["Users"]] == ["Alice"]
    assert [group["GroupName"] for group in iam.list_groups_for_user(UserName="alice")["Groups"]] == ["team"]
    iam.remove_user_from_group(GroupName="team", UserName="alicE")
    assert iam.get_group(GroupName="team")["Users"] == []


def test_no_rename_makes_two_users_of_one_name(cloud: Cloud):
    """IAM's UpdateUser refuses a new name that differs from another user's in case alone; here none is renamed."""
    people.user(cloud, USERS, "Carol")
    people.user(cloud, USERS, "dave")
    iam = cloud.admin(USERS).client("iam")
    with refused(400, "InvalidAction"):
        iam.update_user(UserName="dave", NewUserName="CAROL")
    assert iam.get_user(UserName="dave")["User"]["UserName"] == "dave"


def test_a_fence_by_path_holds_whatever_the_case_of_the_name(cloud: Cloud):
    """The path is that of the user who is meant."""
    cloud.admin(USERS).client("iam").create_user(UserName="Inside", Path="/inside/")
    inside = f"arn:aws:iam::{USERS}:user/inside/*"
    fenced = people.user(cloud, USERS, "fenced", people.allow("iam:TagUser", inside)).client("iam")
    tags = [{"Key": "seen", "Value": "yes"}]
    fenced.tag_user(UserName="inside", Tags=tags)
    with refused(403, "AccessDenied"):
        fenced.tag_user(UserName="fenced", Tags=tags)
