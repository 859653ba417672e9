"""What the other tests lean on: the local cloud refuses where AWS would, and passes on what AWS would pass on."""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests import people
from tests.cloud.client import Caller, Cloud
from tests.cloud.endpoints import PARENT, REGION
from tests.e2e.world import refused

ACCOUNT = "121212121212"
ENDPOINTS = f"arn:aws:sagemaker:{REGION}:{PARENT}:endpoint"


@pytest.fixture(scope="module")
def role(cloud: Cloud) -> Iterator[str]:
    """A role by hand, in the parent's account: everybody there may assume it, and it may invoke two endpoints."""
    iam = cloud.admin(PARENT).client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{PARENT}:root"}}
        ],
    }
    iam.create_role(RoleName="ByHand", AssumeRolePolicyDocument=json.dumps(trust))
    permission = {
        "Version": "2012-10-17",
        "Statement": [people.allow("sagemaker:InvokeEndpoint", [f"{ENDPOINTS}/echo", f"{ENDPOINTS}/iris"])],
    }
    iam.put_role_policy(RoleName="ByHand", PolicyName="Invoke", PolicyDocument=json.dumps(permission))
    yield f"arn:aws:iam::{PARENT}:role/ByHand"
    iam.delete_role_policy(RoleName="ByHand", PolicyName="Invoke")
    iam.delete_role(RoleName="ByHand")


@pytest.fixture(scope="module")
def user(cloud: Cloud) -> Caller:
    return people.user(cloud, PARENT, "by-hand", people.allow("sts:AssumeRole"))


def invoke(caller: Caller, endpoint: str, **members: str) -> bytes:
    runtime = caller.client("sagemaker-runtime")
    return runtime.invoke_endpoint(EndpointName=endpoint, Body=b"x", **members)["Body"].read()


def test_a_session_policy_narrows_the_role(user: Caller, role: str):
    policy = {"Version": "2012-10-17", "Statement": [people.allow("sagemaker:InvokeEndpoint", f"{ENDPOINTS}/echo")]}
    narrow = user.assume(role, RoleSessionName="narrow", Policy=json.dumps(policy))
    assert invoke(narrow, "echo") == b"x"
    with refused(403, "AccessDeniedException"):
        invoke(narrow, "iris")


def test_a_source_identity_and_tags_must_be_allowed_by_the_caller_and_by_the_trust(cloud: Cloud):
    account = "151212121212"
    admin = cloud.admin(account).client("iam")
    attributes = {
        "sts:SetSourceIdentity": {"SourceIdentity": "carol"},
        "sts:TagSession": {"Tags": [{"Key": "Caller", "Value": "carol"}]},
    }
    roles = {}
    for number, actions in enumerate((["sts:AssumeRole"], ["sts:AssumeRole", *attributes])):
        trust = {"Effect": "Allow", "Action": actions, "Principal": {"AWS": f"arn:aws:iam::{account}:root"}}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        role = admin.create_role(RoleName=f"role-{number}", AssumeRolePolicyDocument=document)["Role"]
        roles[role["Arn"]] = len(actions) > 1
    plain = people.user(cloud, account, "plain", people.allow("sts:AssumeRole"))
    for action, given in attributes.items():
        other = people.user(cloud, account, f"with-{action[4:]}", people.allow("sts:AssumeRole"), people.allow(action))
        for role, trusts in roles.items():
            plain.assume(role, RoleSessionName="bare")
            with refused(403, "AccessDenied"):
                plain.assume(role, RoleSessionName="named", **given)
            if trusts:
                other.assume(role, RoleSessionName="named", **given)
            else:
                with refused(403, "AccessDenied"):
                    other.assume(role, RoleSessionName="named", **given)


def test_a_session_policy_does_not_widen_the_role(user: Caller, role: str):
    policy = {"Version": "2012-10-17", "Statement": [people.allow("*")]}
    wide = user.assume(role, RoleSessionName="wide", Policy=json.dumps(policy))
    with refused(403, "AccessDeniedException"):
        invoke(wide, "churn")


def test_an_inference_component_must_be_allowed_too(user: Caller, role: str):
    with refused(403, "AccessDeniedException"):
        invoke(user.assume(role, RoleSessionName="component"), "echo", InferenceComponentName="adapter-a")


def test_a_wrong_secret_is_refused(user: Caller, role: str):
    session = user.assume(role, RoleSessionName="secret")
    with refused(403, "InvalidSignatureException"):
        invoke(replace(session, secret_key="guessed"), "echo")


def test_an_unknown_endpoint_is_named(cloud: Cloud):
    with refused(400, "ValidationError") as error:
        invoke(cloud.admin(PARENT), "nowhere")
    assert error.message == f"Endpoint nowhere of account {PARENT} not found."


def test_headers_that_sagemaker_does_not_know_do_not_reach_the_container(cloud: Cloud):
    runtime = cloud.admin(PARENT).client("sagemaker-runtime")

    def add_header(request, **_):
        request.headers["X-Other"] = "1"

    runtime.meta.events.register("before-sign.sagemaker-runtime", add_header)
    with cloud.recording() as seen:
        runtime.invoke_endpoint(EndpointName="echo", Body=b"x", ContentType="text/plain")
    (invocation,) = seen.invocations
    assert invocation["headers"] == {"Content-Type": "text/plain"}


def test_r12_a_stream_needs_both_actions(cloud: Cloud):
    plain, stream = "sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointWithResponseStream"
    for number, actions in enumerate(([plain], [stream], [plain, stream])):
        statements = [people.allow(action, f"{ENDPOINTS}/echo") for action in actions]
        runtime = people.user(cloud, PARENT, f"streamer-{number}", *statements).client("sagemaker-runtime")
        if len(actions) == 2:
            answer = runtime.invoke_endpoint_with_response_stream(EndpointName="echo", Body=b"x")
            assert list(answer["Body"]) == [{"PayloadPart": {"Bytes": b"x"}}]
            continue
        with refused(403, "AccessDeniedException"):
            runtime.invoke_endpoint_with_response_stream(EndpointName="echo", Body=b"x")


def test_an_asynchronous_call_has_an_action_of_its_own(cloud: Cloud):
    for name, action in (("caller", "sagemaker:InvokeEndpoint"), ("queuer", "sagemaker:InvokeEndpointAsync")):
        runtime = people.user(cloud, PARENT, name, people.allow(action, f"{ENDPOINTS}/echo")).client(
            "sagemaker-runtime"
        )
        if name == "queuer":
            assert runtime.invoke_endpoint_async(EndpointName="echo", Body=b"x")["OutputLocation"]
            continue
        with refused(403, "AccessDeniedException"):
            runtime.invoke_endpoint_async(EndpointName="echo", Body=b"x")


def test_an_asynchronous_call_takes_exactly_one_input_of_limited_size(cloud: Cloud):
    runtime = cloud.admin(PARENT).client("sagemaker-runtime")
    for wrong in ({}, {"Body": b"x", "InputLocation": "s3://b/k"}, {"Body": b"x" * 128_001}):
        with refused(400, "ValidationError"):
            runtime.invoke_endpoint_async(EndpointName="echo", **wrong)


def test_a_fence_by_path_and_boundary_holds(cloud: Cloud):
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/Ceiling"
    admin = cloud.admin(ACCOUNT).client("iam")
    nothing = {"Version": "2012-10-17", "Statement": [people.allow("sagemaker:InvokeEndpoint")]}
    admin.create_policy(PolicyName="Ceiling", PolicyDocument=json.dumps(nothing))
    fenced = people.user(
        cloud,
        ACCOUNT,
        "fenced",
        {
            **people.allow("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/inside/*"),
            "Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}},
        },
    ).client("iam")
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    for wrong in ({"Path": "/inside/"}, {"Path": "/outside/", "PermissionsBoundary": boundary}):
        with refused(403, "AccessDenied"):
            fenced.create_role(RoleName="made", AssumeRolePolicyDocument=trust, **wrong)
    made = fenced.create_role(
        RoleName="made", AssumeRolePolicyDocument=trust, Path="/inside/", PermissionsBoundary=boundary
    )
    assert made["Role"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/inside/made"


def test_a_deny_of_all_but_some_and_a_list_of_policies_hold(cloud: Cloud):
    """What the provisioner's permissions are made of where something is adopted."""
    account = "131212121212"
    admin = cloud.admin(account).client("iam")
    document = json.dumps({"Version": "2012-10-17", "Statement": [people.allow("s3:GetObject")]})
    policies = [admin.create_policy(PolicyName=n, PolicyDocument=document)["Policy"]["Arn"] for n in ("A", "B", "C")]
    for name in ("named", "other"):
        admin.create_role(RoleName=name, AssumeRolePolicyDocument=document, PermissionsBoundary=policies[0])
    named = f"arn:aws:iam::{account}:role/named"
    fenced = people.user(
        cloud,
        account,
        "fenced",
        people.allow("iam:DeleteRolePermissionsBoundary"),
        {"Effect": "Deny", "Action": "iam:DeleteRolePermissionsBoundary", "NotResource": [named]},
        {**people.allow("iam:AttachRolePolicy"), "Condition": {"ArnEquals": {"iam:PolicyARN": policies[:2]}}},
        people.allow("iam:SetDefaultPolicyVersion", policies[0]),
    ).client("iam")
    fenced.attach_role_policy(RoleName="named", PolicyArn=policies[1])
    with refused(403, "AccessDenied"):
        fenced.attach_role_policy(RoleName="named", PolicyArn=policies[2])
    fenced.delete_role_permissions_boundary(RoleName="named")
    with refused(403, "AccessDenied"):
        fenced.delete_role_permissions_boundary(RoleName="other")
    admin.create_policy_version(PolicyArn=policies[0], PolicyDocument=document, SetAsDefault=True)
    fenced.set_default_policy_version(PolicyArn=policies[0], VersionId="v1")
    assert admin.get_policy(PolicyArn=policies[0])["Policy"]["DefaultVersionId"] == "v1"
    with refused(403, "AccessDenied"):
        fenced.set_default_policy_version(PolicyArn=policies[1], VersionId="v1")


def test_u04_a_policys_name_is_taken_whatever_its_path_and_case(cloud: Cloud):
    admin = cloud.admin("141212121212").client("iam")
    document = json.dumps({"Version": "2012-10-17", "Statement": [people.allow("s3:GetObject")]})
    admin.create_policy(PolicyName="Taken", PolicyDocument=document)
    with refused(409, "EntityAlreadyExists"):
        admin.create_policy(PolicyName="taken", Path="/elsewhere/", PolicyDocument=document)


def test_functions_get_lambdas_environment_and_not_this_machines(cloud: Cloud):
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        bootstrap = zipfile.ZipInfo("bootstrap")
        bootstrap.external_attr = 0o755 << 16
        archive.writestr(bootstrap, "#!/bin/sh\nexec env\n")
    functions = cloud.admin(ACCOUNT).client("lambda")
    functions.create_function(
        FunctionName="prints-environment",
        Runtime="provided.al2023",
        Handler="bootstrap",
        Role=f"arn:aws:iam::{ACCOUNT}:role/inside/made",
        Code={"ZipFile": package.getvalue()},
        Environment={"Variables": {"OWN": "1"}},
        LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "WARN"},
    )
    functions.invoke(FunctionName="prints-environment")
    printed = dict(line.split("=", 1) for line in cloud.logs(ACCOUNT, "prints-environment").splitlines())
    assert printed["OWN"] == "1"
    assert printed["AWS_LAMBDA_LOG_LEVEL"] == "WARN"
    assert printed["AWS_ENDPOINT_URL"] == printed["RESPONSE_URL_ORIGIN"] == cloud.url
    of_the_shell = {"PWD", "SHLVL", "_", "OLDPWD"}
    foreign = {name for name in printed if not name.startswith(("AWS_", "LAMBDA_"))} - of_the_shell
    assert foreign == {"LANG", "OWN", "PATH", "RESPONSE_URL_ORIGIN", "TZ", "_HANDLER"}
