"""The boundary: a role that the provisioner made does nothing but invoke endpoints, whatever policies hang on it (S07).

The twin has the same policies and no boundary: what is refused to the one must be allowed to the other.
"""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests import people
from tests.cloud.client import Caller, Cloud
from tests.deploy import deploy_template
from tests.e2e.security.attacks import ADMINISTRATOR, ANYTHING
from tests.e2e.security.fenced import FRIEND, PLAIN, Fenced, trust
from tests.e2e.world import PATH


@dataclass(frozen=True)
class Twins:
    bounded: Caller
    unbounded: Caller


@pytest.fixture(scope="module")
def twins(cloud: Cloud, stacks: dict[str, Fenced]) -> Twins:
    """Sessions of a role that a custom resource made, and of one by hand; the policies of both allow anything."""
    plain = stacks[PLAIN]
    grant = {
        "Type": "Custom::SageMakerExternalRole",
        "Properties": {
            "ServiceToken": {"Fn::ImportValue": "fenced-ProvisionerArn"},
            "RoleName": "Grant",
            "PolicyName": "GrantPolicy",
            "EndpointNames": ["*"],
            "AllowAnyEndpoint": "true",
            "Regions": ["*"],
            "Operations": ["InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync"],
            "TrustedAccountIds": [FRIEND],
        },
    }
    deploy_template(cloud, PLAIN, "widest", json.dumps({"Resources": {"Grant": grant}}))
    iam = plain.iam
    iam.create_role(RoleName="Twin", AssumeRolePolicyDocument=trust(f"arn:aws:iam::{FRIEND}:root"))
    # The provisioner's own, an administrator's managed one, and an inline one.
    attacker = plain.attackers_iam
    wide = attacker.create_policy(PolicyName="Wide", Path=PATH, PolicyDocument=ANYTHING)["Policy"]["Arn"]
    attacker.attach_role_policy(RoleName="Grant", PolicyArn=wide)
    iam.attach_role_policy(RoleName="Grant", PolicyArn=ADMINISTRATOR)
    iam.put_role_policy(RoleName="Grant", PolicyName="All", PolicyDocument=ANYTHING)
    iam.attach_role_policy(RoleName="Twin", PolicyArn=wide)
    # To be assumed onwards.
    iam.create_role(RoleName="Onwards", AssumeRolePolicyDocument=trust(f"arn:aws:iam::{PLAIN}:root"))
    friend = people.user(cloud, FRIEND, "friend", people.allow("sts:AssumeRole"))
    roles = {name: iam.get_role(RoleName=name)["Role"]["Arn"] for name in ("Grant", "Twin")}
    return Twins(
        friend.assume(roles["Grant"], RoleSessionName="wide", ExternalId=PLAIN),
        friend.assume(roles["Twin"], RoleSessionName="wide"),
    )


def test_s07_the_three_operations_are_served(twins: Twins):
    runtime = twins.bounded.client("sagemaker-runtime")
    assert runtime.invoke_endpoint(EndpointName="iris", Body=b"x")["Body"].read() == b"x"
    streamed = runtime.invoke_endpoint_with_response_stream(EndpointName="iris", Body=b"x")
    assert list(streamed["Body"]) == [{"PayloadPart": {"Bytes": b"x"}}]
    assert runtime.invoke_endpoint_async(EndpointName="iris", InputLocation="s3://b/k")["OutputLocation"]


# IAM, S3 and the query protocol; JSON protocols; EC2; SNS.
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError")
TRIED: list[tuple[str, str, dict[str, Any]]] = [
    ("iam", "list_users", {}),
    ("iam", "create_user", {"UserName": "made-by-a-twin"}),
    ("iam", "get_role", {"RoleName": "Grant"}),
    ("iam", "delete_role_permissions_boundary", {"RoleName": "Grant"}),
    ("iam", "put_role_policy", {"RoleName": "Onwards", "PolicyName": "All", "PolicyDocument": ANYTHING}),
    ("sts", "assume_role", {"RoleArn": f"arn:aws:iam::{PLAIN}:role/Onwards", "RoleSessionName": "onwards"}),
    ("s3", "list_buckets", {}),
    ("s3", "create_bucket", {"Bucket": "made-by-a-twin"}),
    ("lambda", "list_functions", {}),
    ("cloudformation", "list_stacks", {}),
    ("logs", "describe_log_groups", {}),
    ("secretsmanager", "list_secrets", {}),
    ("ssm", "describe_parameters", {}),
    ("kms", "list_keys", {}),
    ("dynamodb", "list_tables", {}),
    ("sqs", "list_queues", {}),
    ("sns", "list_topics", {}),
    ("ec2", "describe_instances", {}),
    ("ecr", "describe_repositories", {}),
    ("apigateway", "get_rest_apis", {}),
    ("events", "list_rules", {}),
    ("stepfunctions", "list_state_machines", {}),
    ("cloudwatch", "list_metrics", {}),
]


@pytest.mark.parametrize(("service", "call", "members"), TRIED, ids=[f"{s}-{c}" for s, c, _ in TRIED])
def test_s07_all_else_is_refused(twins: Twins, plain: Fenced, service: str, call: str, members: dict[str, Any]):
    before = plain.everything()
    with pytest.raises(ClientError) as denied:
        getattr(twins.bounded.client(service), call)(**members)
    assert denied.value.response["Error"]["Code"] in DENIED
    assert plain.everything() == before
    if call == "delete_role_permissions_boundary":
        # The other calls need it to stay; who may take it off is test_fence's matter.
        return
    getattr(twins.unbounded.client(service), call)(**members)
