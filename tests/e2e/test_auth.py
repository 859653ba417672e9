"""Who may call the API: members of the group, a user pool's users instead, and API keys on top of either.

Every route is called as plain HTTP, since not every one is of SageMaker Runtime; a refusal is API Gateway's own and
reaches neither the invoker nor AWS.
"""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from tests import deploy, people
from tests.cloud.client import Caller, Cloud, session_tags
from tests.cloud.endpoints import PARENT, REGION, Endpoint
from tests.e2e.world import World

# An account with a parent's and a child's half of its own, whose authorization changes here.
ACCOUNT = "616161616161"
INVOCATIONS = ("POST", "/endpoints/own/invocations")
LIST = ("GET", "/endpoints")
EXAMINE = ("GET", "/endpoints/own")
CALLED = [
    INVOCATIONS,
    ("POST", "/endpoints/own/invocations-response-stream"),
    ("POST", "/endpoints/own/async-invocations"),
    LIST,
]
ROUTES = [*CALLED, EXAMINE]
each_route = pytest.mark.parametrize("route", ROUTES, ids=" ".join)
each_called = pytest.mark.parametrize("route", CALLED, ids=" ".join)

UNAUTHORIZED = (401, "UnauthorizedException", "Unauthorized")
UNSIGNED = (403, "MissingAuthenticationTokenException", "Missing Authentication Token")
NO_KEY = (403, "ForbiddenException", "Forbidden")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_the_invokers(self) -> bool:
        return "server-timing" in self.headers

    @property
    def refusal(self) -> tuple[int, str | None, str]:
        said = json.loads(self.body)
        return self.status, self.headers.get("x-amzn-errortype"), said.get("message") or said.get("Message")


def call(url: str, route: tuple[str, str], signer: Caller | None = None, **headers: str) -> Answer:
    """Call a route, signed by `signer` if there is one, with these headers besides."""
    method, path = route
    body = b"x" if method == "POST" else None
    request = AWSRequest(method, url + path, data=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
    if signer is not None:
        SigV4Auth(signer.session.get_credentials(), "execute-api", REGION).add_auth(request)
    sent = urllib.request.Request(request.url, method=method, data=body, headers=dict(request.headers))
    try:
        with urllib.request.urlopen(sent) as answer:
            return Answer(answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read())
    except urllib.error.HTTPError as refused:
        return Answer(refused.code, {k.lower(): v for k, v in refused.headers.items()}, refused.read())


@contextmanager
def nothing_done(cloud: Cloud) -> Iterator[None]:
    """The block may reach neither AWS through the invoker nor a model."""
    with cloud.recording() as seen:
        yield
    assert (seen.of("sts"), seen.of("sagemaker"), seen.invocations) == ([], [], [])


# ---- IAM: the group's rights and no others ----------------------------------------------------------


@each_route
def test_a_member_of_the_group_needs_no_other_right(world: World, route: tuple[str, str]):
    iam = world.child.admin.client("iam")
    assert iam.list_user_policies(UserName="tester")["PolicyNames"] == []
    assert iam.list_attached_user_policies(UserName="tester")["AttachedPolicies"] == []
    method, path = route
    assert call(world.api_url, (method, path.replace("/own", "/echo")), world.tester).is_the_invokers


@each_route
def test_s20_a_user_outside_the_group_is_refused(world: World, route: tuple[str, str]):
    with nothing_done(world.cloud):
        answer = call(world.api_url, route, world.nobody)
    assert answer.refusal[:2] == (403, "AccessDeniedException")
    assert "execute-api:Invoke" in answer.refusal[2]
    assert not answer.is_the_invokers


@each_route
def test_s20_a_caller_without_a_signature_is_refused(world: World, route: tuple[str, str]):
    with nothing_done(world.cloud):
        assert call(world.api_url, route).refusal == UNSIGNED


def test_members_may_not_call_what_the_group_does_not_name(world: World):
    with nothing_done(world.cloud):
        answer = call(world.api_url, ("DELETE", "/endpoints/echo"), world.tester)
    assert answer.status == 403 and not answer.is_the_invokers


def test_s02_a_member_is_told_whether_the_external_id_is_enforced(world: World):
    with world.cloud.recording() as seen:
        answer = call(world.api_url, ("GET", "/endpoints/echo"), world.tester)
    assert answer.status == 200
    found = json.loads(answer.body)
    assert (found["Assumable"], found["ExternalIdEnforced"]) == (True, True)
    # The recipe's ExternalId is the parent's account id.
    assert [finding["Code"] for finding in found["Findings"]] == ["ExternalIdIsAccountId"]
    # With the ExternalId, with none and with another one, and no model.
    tried = sorted((c["params"].get("ExternalId") == PARENT, c["status"]) for c in seen.assumed)
    assert tried == [(False, 403), (False, 403), (True, 200)]
    assert (seen.of("sagemaker"), seen.invocations) == ([], [])
    for hidden in ("arn:", PARENT, "SageMakerExternal"):
        assert hidden not in answer.body.decode()


# ---- A user pool, then keys, one deployment after the other -----------------------------------------


@dataclass(frozen=True)
class Pool:
    arn: str
    tokens: Mapping[str, str]


def user_pool(cloud: Cloud, name: str) -> Pool:
    """A user pool with the user carol, and her tokens."""
    idp = cloud.admin(ACCOUNT).client("cognito-idp")
    pool = idp.create_user_pool(PoolName=name)["UserPool"]
    given = {"UserPoolId": pool["Id"]}
    flow = "ADMIN_USER_PASSWORD_AUTH"
    client = idp.create_user_pool_client(**given, ClientName="c", ExplicitAuthFlows=[f"ALLOW_{flow}"])
    password = "Long-enough-1"
    idp.admin_create_user(**given, Username="carol", MessageAction="SUPPRESS")
    idp.admin_set_user_password(**given, Username="carol", Password=password, Permanent=True)
    signed_in = idp.admin_initiate_auth(
        **given,
        ClientId=client["UserPoolClient"]["ClientId"],
        AuthFlow=flow,
        AuthParameters={"USERNAME": "carol", "PASSWORD": password},
    )
    return Pool(pool["Arn"], signed_in["AuthenticationResult"])


@dataclass(frozen=True)
class Trial:
    """Both halves in one account, with a user in the group and one outside, and two pools."""

    cloud: Cloud
    pool: Pool
    other_pool: Pool
    member: Caller
    nobody: Caller

    def deployed(self, pool: str, keys: bool, attribution: bool = False) -> str:
        """Where the API answers once it is deployed so. A parameter that is left out keeps its value."""
        given = {
            "EndpointNames": ["own"],
            "UserNames": ["member"],
            "CognitoUserPoolArn": pool,
            "ApiKeyRequired": "true" if keys else "false",
            "UsagePlanRateLimit": "100" if keys else "",
            "UsagePlanBurstLimit": "200" if keys else "",
            "CallerAttribution": "true" if attribution else "false",
        }
        stack = deploy.deploy(self.cloud, ACCOUNT, "default", given, "authorization")
        return self.cloud.local_url(stack.outputs["ApiUrl"])


@pytest.fixture(scope="module")
def trial(cloud: Cloud) -> Iterator[Trial]:
    cloud.put_endpoint(Endpoint(ACCOUNT, REGION, "own", "echo"))
    member, nobody = (people.user(cloud, ACCOUNT, name) for name in ("member", "nobody"))
    yield Trial(cloud, user_pool(cloud, "own"), user_pool(cloud, "other"), member, nobody)
    if deploy.status(cloud, ACCOUNT, "authorization"):
        deploy.delete(cloud, ACCOUNT, "authorization")
    assert people.entities(cloud, ACCOUNT) == []


@pytest.fixture(scope="module")
def signed(trial: Trial) -> str:
    """The API with IAM and keys."""
    return trial.deployed("", keys=True)


@pytest.fixture(scope="module")
def key(trial: Trial, signed: str) -> str:
    return key_of(trial)


def key_of(trial: Trial) -> str:
    """The value of the stack's key, which the outputs do not tell."""
    outputs = deploy.outputs(trial.cloud, ACCOUNT, "authorization")
    gateway = trial.cloud.admin(ACCOUNT).client("apigateway")
    plan = gateway.get_usage_plan(usagePlanId=outputs["UsagePlanId"])
    assert plan["throttle"] == {"rateLimit": 100.0, "burstLimit": 200}
    value = gateway.get_api_key(apiKey=outputs["ApiKeyId"], includeValue=True)["value"]
    assert value not in str(outputs)
    return value


class TestKeysOnTopOfIam:
    @each_route
    def test_a_member_with_a_key_is_served(self, trial: Trial, signed: str, key: str, route: tuple[str, str]):
        assert call(signed, route, trial.member, x_api_key=key).is_the_invokers

    @each_route
    def test_s20_a_key_alone_is_refused(self, trial: Trial, signed: str, key: str, route: tuple[str, str]):
        with nothing_done(trial.cloud):
            assert call(signed, route, x_api_key=key).refusal == UNSIGNED

    @each_route
    def test_s20_a_key_lets_nobody_in_who_is_not_in_the_group(
        self, trial: Trial, signed: str, key: str, route: tuple[str, str]
    ):
        with nothing_done(trial.cloud):
            assert call(signed, route, trial.nobody, x_api_key=key).refusal[:2] == (403, "AccessDeniedException")

    @each_route
    @pytest.mark.parametrize("wrong", [{}, {"x_api_key": "guessed"}], ids=["none", "wrong"])
    def test_a_member_without_the_key_is_refused(
        self, trial: Trial, signed: str, key: str, route: tuple[str, str], wrong: dict[str, str]
    ):
        with nothing_done(trial.cloud):
            assert call(signed, route, trial.member, **wrong).refusal == NO_KEY


@pytest.fixture(scope="module")
def pooled(trial: Trial, signed: str) -> str:
    """The same stack, changed to a user pool without keys."""
    return trial.deployed(trial.pool.arn, keys=False)


class TestUserPool:
    @each_called
    def test_an_id_token_is_served(self, trial: Trial, pooled: str, route: tuple[str, str]):
        assert call(pooled, route, Authorization=trial.pool.tokens["IdToken"]).is_the_invokers

    def test_s21_the_session_is_named_after_the_claims(self, trial: Trial, pooled: str):
        with trial.cloud.recording() as seen:
            answer = call(pooled, INVOCATIONS, Authorization=f"Bearer {trial.pool.tokens['IdToken']}")
        assert (answer.status, answer.body) == (200, b"x")
        (assumed,) = seen.assumed
        assert assumed["params"]["RoleSessionName"].startswith("carol-")

    @each_called
    @pytest.mark.parametrize("token", ["none", "access", "other pool", "forged", "signature"])
    def test_s20_all_else_is_refused(self, trial: Trial, pooled: str, route: tuple[str, str], token: str):
        head, claims, signature = trial.pool.tokens["IdToken"].split(".")
        sent: dict[str, Any] = {
            "none": {},
            "access": {"Authorization": trial.pool.tokens["AccessToken"]},
            "other pool": {"Authorization": trial.other_pool.tokens["IdToken"]},
            "forged": {"Authorization": f"{head}.{claims}.{signature[::-1]}"},
            "signature": {"signer": trial.member},
        }[token]
        with nothing_done(trial.cloud):
            assert call(pooled, route, **sent).refusal == UNAUTHORIZED

    def test_the_doctor_is_for_members_of_the_group(self, trial: Trial, pooled: str):
        assert call(pooled, EXAMINE, trial.member).is_the_invokers
        with nothing_done(trial.cloud):
            assert call(pooled, EXAMINE, trial.nobody).refusal[:2] == (403, "AccessDeniedException")
            assert call(pooled, EXAMINE).refusal == UNSIGNED
            token = call(pooled, EXAMINE, Authorization=trial.pool.tokens["IdToken"])
        assert token.refusal[:2] == (403, "IncompleteSignatureException")


@pytest.fixture(scope="module")
def both(trial: Trial, pooled: str) -> str:
    """A user pool and keys, and the caller named to the parent."""
    return trial.deployed(trial.pool.arn, keys=True, attribution=True)


def test_s20_keys_on_top_of_a_user_pool(trial: Trial, both: str):
    token, key = trial.pool.tokens["IdToken"], key_of(trial)
    for route in CALLED:
        assert call(both, route, Authorization=token, x_api_key=key).is_the_invokers
        with nothing_done(trial.cloud):
            assert call(both, route, Authorization=token).refusal == NO_KEY
            assert call(both, route, x_api_key=key).refusal == UNAUTHORIZED
    with nothing_done(trial.cloud):
        assert call(both, EXAMINE, trial.member).refusal == NO_KEY
    assert call(both, EXAMINE, trial.member, x_api_key=key).is_the_invokers


def test_s21_token_and_key_are_told_by_claims_and_id(trial: Trial, both: str):
    token, key = trial.pool.tokens["IdToken"], key_of(trial)
    with trial.cloud.recording() as seen:
        assert call(both, INVOCATIONS, Authorization=token, x_api_key=key).status == 200
    (assumed,) = seen.assumed
    told = session_tags(assumed)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert told["Caller"] == f"{claims['iss']}/{claims['sub']}"
    assert told["ApiKeyId"] == deploy.outputs(trial.cloud, ACCOUNT, "authorization")["ApiKeyId"]
    assert assumed["params"]["SourceIdentity"].startswith("carol-")
    assert key not in str(assumed)
