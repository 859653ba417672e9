"""parliament on every document that the template and the functions make, as IAM and STS got them (S04, S07)."""

import json
import re
from typing import Any

import parliament
import pytest

from tests.cloud.client import Cloud
from tests.cloud.endpoints import CHILD
from tests.deploy import deploy, deploy_template
from tests.e2e.world import World, as_list
from tests.holdings import holdings

# An account in which nothing else is made.
ACCOUNT = "202020202020"
ASYNC = ["InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync"]
# Each way in which a grant's documents differ.
GRANTS: dict[str, dict[str, Any]] = {
    "Plain": {"EndpointNames": ["iris"]},
    "Capitals": {"EndpointNames": ["Iris", "churn"], "InferenceComponentNames": ["adapter-a"], "Operations": ASYNC},
    "Regions": {"EndpointNames": ["iris"], "Regions": ["us-east-1", "eu-west-1"], "CallerAttribution": "true"},
    "Any": {"EndpointNames": ["*"], "AllowAnyEndpoint": "true", "Regions": ["*"], "CallerAttribution": "true"},
    "Long": {"EndpointNames": [f"endpoint-of-a-long-name-{n:03}" for n in range(120)]},
}
# What parliament says and is meant to be so: the finding, in which documents, and why.
FENCES = r"\d+:policy/\S+-Provisioner(Fence|GroupRights)-\S+|\d+:role/\S+-ProvisionerRole-\S+/KeepWhatIsAdopted"
ASSUMING = r"trust of \S+|\d+:role/\S+-InvokerRole-\S+/AssumeExternalRoles|\d+:group/\S+/AssumeSageMakerExternal"
ACCEPTED = {
    # To assume roles is what the invoker, the group and a trust are for; each names the roles.
    "CREDENTIALS_EXPOSURE": ASSUMING,
    # parliament reads the actions and not the resources and conditions that bind them: test_evaluation.py does, and
    # SECURITY.md says what is left, which is PutGroupPolicy with AddUserToGroup below the path.
    "PERMISSIONS_MANAGEMENT_ACTIONS": FENCES,
    "PRIVILEGE_ESCALATION": FENCES,
    # StringEquals on iam:PermissionsBoundary is what IAM's documentation uses, and unlike ArnEquals takes no wildcard.
    "MISMATCHED_TYPE_BUT_USABLE": FENCES,
}


@pytest.fixture(scope="module")
def documents(cloud: Cloud, world: World) -> dict[str, dict[str, Any]]:
    """By what they are of. A stack's own, five grants', and the session policies of all three operations."""
    named = [f"arn:aws:iam::{ACCOUNT}:{kind}/Named" for kind in ("role", "policy", "group")]
    given = {"EndpointNames": ["iris"], "AdoptArns": named, "GrantableAccountIds": [CHILD], "AllowAnyEndpoint": "true"}
    stack = deploy(cloud, ACCOUNT, "default", given, "own")
    token = {"Fn::ImportValue": "own-ProvisionerArn"}
    resources = {
        name: {
            "Type": "Custom::SageMakerExternalRole",
            "Properties": {
                "ServiceToken": token,
                "RoleName": name,
                "PolicyName": f"{name}Policy",
                "TrustedAccountIds": [CHILD],
                "TrustedPrincipalArns": [stack.outputs["InvokerRoleArn"]],
                **grant,
            },
        }
        for name, grant in GRANTS.items()
    }
    deploy_template(cloud, ACCOUNT, "grants", json.dumps({"Resources": resources}))
    found: dict[str, dict[str, Any]] = {}
    for arn, entity in holdings(cloud, ACCOUNT).items():
        name = arn.split(":", 4)[4]
        if "trust" in entity:
            found[f"trust of {name}"] = entity["trust"]
        found |= {f"{name}/{policy}": document for policy, document in entity.get("inline", {}).items()}
        if "versions" in entity:
            found[name] = entity["versions"][entity["default"]]
    with cloud.recording() as seen:
        world.api.invoke_endpoint(EndpointName="iris", Body=b"5,3,1,0", ContentType="text/csv")
        list(world.api.invoke_endpoint_with_response_stream(EndpointName="echo", Body=b"x")["Body"])
        world.api.invoke_endpoint_async(EndpointName="Echo-Capital", InputLocation="s3://b/k")
        world.api.invoke_endpoint(EndpointName="echo", Body=b"x", InferenceComponentName="adapter-a")
    found |= {f"session {n}": json.loads(call["params"]["Policy"]) for n, call in enumerate(seen.assumed)}
    return found


def findings(document: dict[str, Any]) -> set[str]:
    """What parliament says of an identity policy."""
    policy = parliament.analyze_policy_string(json.dumps(document), include_community_auditors=True)
    return {finding.issue for finding in policy.findings}


def unaccepted(name: str, issues: set[str]) -> set[str]:
    """Of what parliament says of this document."""
    return {issue for issue in issues if not re.fullmatch(ACCEPTED.get(issue, ""), name)}


def test_s04_s07_parliament_finds_nothing_that_is_not_meant(documents: dict[str, dict[str, Any]]):
    kinds = {"trust of": 8, "session": 4, ":policy/": 8, ":group/": 1, "Role-": 5}
    for kind, least in kinds.items():
        assert sum(kind in name for name in documents) >= least, f"too few of {kind}: {sorted(documents)}"
    found = {name: findings(as_identity_policy(name, document)) for name, document in documents.items()}
    wrong = {name: left for name, issues in found.items() if (left := unaccepted(name, issues))}
    assert wrong == {}
    assert set().union(*found.values()) == ACCEPTED.keys(), "what is found no more is accepted no more"


def as_identity_policy(name: str, document: dict[str, Any]) -> dict[str, Any]:
    """A trust policy as parliament can read it: the caller's own, with the role as the resource."""
    if not name.startswith("trust of"):
        return document
    role = f"arn:aws:iam::{name.removeprefix('trust of ')}"
    statements = [{k: v for k, v in s.items() if k != "Principal"} | {"Resource": role} for s in document["Statement"]]
    return {**document, "Statement": statements}


def test_s04_every_trust_names_its_principals_and_asks_for_the_external_id(documents: dict[str, dict[str, Any]]):
    trusts = {name: document for name, document in documents.items() if name.startswith("trust of")}
    for name, document in trusts.items():
        for statement in document["Statement"]:
            if statement["Principal"] == {"Service": "lambda.amazonaws.com"}:
                assert "/sagemaker-external/" not in name
                continue
            principals = as_list(statement["Principal"]["AWS"])
            assert statement["Principal"].keys() == {"AWS"} and statement["Effect"] == "Allow"
            assert all(re.fullmatch(r"arn:aws:iam::\d{12}:(root|role/[\w/-]+)", principal) for principal in principals)
            if "sts:AssumeRole" in as_list(statement["Action"]):
                assert statement["Action"] in ("sts:AssumeRole", ["sts:AssumeRole"])
                assert statement["Condition"] == {
                    "StringEquals": {"sts:ExternalId": name.removeprefix("trust of ")[:12]}
                }
            else:
                assert set(as_list(statement["Action"])) <= {"sts:SetSourceIdentity", "sts:TagSession"}
