"""What docs/operations.md promises of its procedures: callers are served throughout."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests import deploy, people
from tests.cloud.endpoints import PARENT
from tests.e2e.world import ROTATING as CHILD
from tests.e2e.world import World

STACK = "rotating"
OLD, NEW = "rotated-out", "rotated-in"


def roles(**external_ids: str) -> str:
    """The parent's stack: for each name a role that trusts the child with this ExternalId."""
    token = {"Fn::ImportValue": "sagemaker-external-parent-ProvisionerArn"}
    common = {"ServiceToken": token, "EndpointNames": ["echo"], "TrustedAccountIds": [CHILD]}
    return json.dumps(
        {
            "Resources": {
                name: {
                    "Type": "Custom::SageMakerExternalRole",
                    "Properties": {
                        **common,
                        "RoleName": f"Rotating{name}",
                        "PolicyName": f"Rotating{name}Invoke",
                        "ExternalId": external_id,
                    },
                }
                for name, external_id in external_ids.items()
            }
        }
    )


def grant(name: str, external_id: str, endpoint: str) -> dict[str, Any]:
    arn = f"arn:aws:iam::{PARENT}:role/sagemaker-external/Rotating{name}"
    return {"RoleArn": arn, "ExternalId": external_id, "EndpointNames": [endpoint]}


@contextmanager
def calling(api: Any) -> Iterator[list[str]]:
    """Somebody who calls all the while; in the end every answer, `x` where it was the model's."""
    answers: list[str] = []
    done = threading.Event()

    def call() -> None:
        while not done.is_set():
            try:
                answers.append(api.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read().decode())
            except (ClientError, BotoCoreError) as error:
                answers.append(str(error))

    caller = threading.Thread(target=call)
    caller.start()
    try:
        yield answers
    finally:
        done.set()
        caller.join()


def test_the_external_id_is_rotated_without_a_gap(world: World):
    dana = people.user(world.cloud, CHILD, "dana")

    def parent(**external_ids: str) -> None:
        deploy.deploy_template(world.cloud, PARENT, STACK, roles(**external_ids))

    def child(*grants: dict[str, Any]) -> deploy.Stack:
        given = {"RoleArn": "", "EndpointNames": "", "Grants": json.dumps(grants), "UserNames": ["dana"]}
        return deploy.deploy(world.cloud, CHILD, "child", given, STACK)

    before = people.entities(world.cloud, PARENT)
    try:
        parent(Old=OLD)
        # A stock client, which retries what may pass by itself. A gap in the grant is 403, which no client retries.
        # That an update breaks off no call either, tests/e2e/test_upgrade.py shows with clients that call once.
        api = dana.api(child(grant("Old", OLD, "echo")).outputs["ApiUrl"])
        with world.cloud.recording() as seen, calling(api) as answers:
            parent(Old=OLD, New=NEW)
            child(grant("Old", OLD, "echo"), grant("New", NEW, "not-yet"))
            child(grant("Old", OLD, "not-yet"), grant("New", NEW, "echo"))
            child(grant("New", NEW, "echo"))
            parent(New=NEW)
        assert answers and set(answers) == {"x"}
        presented = [call["params"]["ExternalId"] for call in seen.assumed]
        assert (presented[0], presented[-1], set(presented)) == (OLD, NEW, {OLD, NEW})
    finally:
        for account in (CHILD, PARENT):
            if deploy.status(world.cloud, account, STACK):
                deploy.delete(world.cloud, account, STACK)
    assert people.entities(world.cloud, PARENT) == before
    assert people.entities(world.cloud, CHILD) == []
