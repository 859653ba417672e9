"""The recipe by hand: a user of the group assumes the role and calls the endpoint, without the API."""

import json

import pytest

from tests import iris, people
from tests.cloud.client import Caller
from tests.cloud.endpoints import PARENT
from tests.e2e.world import OUTSIDE, World, refused


@pytest.fixture(scope="module")
def session(world: World) -> Caller:
    return world.tester.assume(world.role, ExternalId=PARENT, RoleSessionName="recipe")


def test_iris_rows_get_their_species(session: Caller):
    answer = session.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="iris", ContentType="text/csv", Body=iris.CSV
    )
    assert answer["Body"].read().decode().split() == iris.LABELS
    assert answer["ContentType"] == "text/csv"
    assert answer["InvokedProductionVariant"] == "AllTraffic"


@pytest.mark.parametrize("external_id", [{}, {"ExternalId": "000000000000"}], ids=["none", "wrong"])
def test_the_role_is_not_given_without_the_right_external_id(world: World, external_id: dict):
    with refused(403, "AccessDenied"):
        world.tester.assume(world.role, RoleSessionName="recipe", **external_id)


def test_a_user_outside_the_group_may_not_assume_the_role(world: World):
    with refused(403, "AccessDenied"):
        world.nobody.assume(world.role, ExternalId=PARENT, RoleSessionName="recipe")


def test_an_account_that_is_not_trusted_may_not_assume_the_role(world: World):
    mallory = people.user(world.cloud, people.STRANGER, "mallory", people.allow("sts:AssumeRole"))
    with refused(403, "AccessDenied"):
        mallory.assume(world.role, ExternalId=PARENT, RoleSessionName="recipe")


def test_the_role_reaches_no_endpoint_outside_the_grant(world: World, session: Caller):
    with world.cloud.recording() as seen, refused(403, "AccessDeniedException"):
        session.client("sagemaker-runtime").invoke_endpoint(EndpointName=OUTSIDE, Body=b"x")
    assert seen.invocations == []


def test_the_role_can_do_nothing_but_invoke_whatever_policy_is_put_on_it(world: World):
    """The boundary holds even against an administrator's mistake."""
    iam = world.parent.admin.client("iam")
    everything = {"Version": "2012-10-17", "Statement": [people.allow("*")]}
    iam.put_role_policy(RoleName="SageMakerExternal", PolicyName="Mistake", PolicyDocument=json.dumps(everything))
    try:
        session = world.tester.assume(world.role, ExternalId=PARENT, RoleSessionName="recipe")
        with refused(403, "AccessDenied"):
            session.client("iam").list_roles()
    finally:
        iam.delete_role_policy(RoleName="SageMakerExternal", PolicyName="Mistake")
