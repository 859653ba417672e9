"""The provisioner's fence, tried with the credentials of its role: what an attacker with its code gets to do (S09-S11).

Each attack is tried against a stack that adopts nothing and against one that adopts, where what is not named must be
refused all the same.
"""

import io
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.security.attacks import ATTACKS, Attack
from tests.e2e.security.fenced import ADOPTING, PLAIN, Fenced, Scene, trust
from tests.e2e.world import refused


@pytest.mark.parametrize("account", [PLAIN, ADOPTING], ids=["plain", "adopting"])
@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_s09_s10_s11_what_an_attacker_tries_is_refused(stacks: dict[str, Fenced], account: str, attack: Attack):
    fenced = stacks[account]
    scene = Scene(fenced)
    tried = scene.fill(attack.refused)
    counterpart = scene.fill(attack.allowed or attack.by_administrator or attack.refused)
    before = fenced.everything()
    with refused(403, "AccessDenied"):
        getattr(fenced.attackers_iam, attack.call)(**tried)
    assert fenced.everything() == before
    getattr(fenced.attackers_iam if attack.allowed else fenced.iam, attack.call)(**counterpart)


def code() -> bytes:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("bootstrap", "#!/bin/sh\n")
    return package.getvalue()


FUNCTION = {"Runtime": "provided.al2023", "Handler": "bootstrap", "Code": {"ZipFile": code()}}
# Passing a role is refused here for want of lambda:CreateFunction: the local cloud knows no iam:PassRole. That the
# fence has it nowhere is shown by tests/security/test_evaluation.py.
OTHERS = [
    ("lambda", "create_function", {"FunctionName": "{new}", "Role": "{passed}", **FUNCTION}),
    ("lambda", "update_function_configuration", {"FunctionName": "{function}", "Description": "mine"}),
    ("lambda", "invoke", {"FunctionName": "{function}", "Payload": b"{}"}),
    ("sts", "assume_role", {"RoleArn": "{passed}", "RoleSessionName": "onwards"}),
    ("cloudformation", "describe_stacks", {}),
    ("logs", "describe_log_groups", {}),
    ("s3", "list_buckets", {}),
    ("secretsmanager", "list_secrets", {}),
    ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "iris", "Body": b"x"}),
]


@pytest.mark.parametrize(("service", "call", "members"), OTHERS, ids=[f"{s}-{c}" for s, c, _ in OTHERS])
def test_s09_the_provisioner_may_do_nothing_outside_iam(
    plain: Fenced, service: str, call: str, members: dict[str, Any]
):
    """But write its log. Above all it passes no role, and assumes none that does not name it."""
    scene = Scene(plain)
    made = plain.iam.create_role(RoleName=scene["new"], AssumeRolePolicyDocument=trust(f"arn:aws:iam::{PLAIN}:root"))
    scene |= {"passed": made["Role"]["Arn"], "function": plain.stack.physical_id("ProvisionerFunction")}
    tried = scene.fill(members)
    with pytest.raises(ClientError) as denied:
        getattr(plain.attacker.client(service), call)(**tried)
    assert denied.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    getattr(plain.stack.admin.client(service), call)(**tried)
