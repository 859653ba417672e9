"""What the end-to-end tests share: the cloud with both halves deployed, and what one asks of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.cloud.client import Caller, Cloud, sign_for_api_gateway
from tests.deploy import Stack

# Granted to the child; the last is an endpoint that does not exist (any more).
GRANTED = ("iris", "echo", "Echo-Capital", "gone")
# Exists in the parent's account and is not granted.
OUTSIDE = "churn"
# Accounts that only other stacks of the parent grant to.
LAB, ROTATING = "222233334444", "232323232323"
# The path below which the provisioner makes everything.
PATH = "/sagemaker-external/"


@dataclass(frozen=True)
class World:
    cloud: Cloud
    parent: Stack
    child: Stack
    # A user of the child's group, with no rights but the group's.
    tester: Caller
    # A user of the child's account who may do nothing.
    nobody: Caller

    @property
    def role(self) -> str:
        return self.parent.outputs["RoleArn"]

    @property
    def api_url(self) -> str:
        """Where the API answers here."""
        return self.cloud.local_url(self.child.outputs["ApiUrl"])

    @property
    def api(self) -> Any:
        return self.client(self.tester)

    def client(self, caller: Caller, url: str | None = None) -> Any:
        """A stock client of the API that tries once, so that what arrives can be counted."""
        client = caller.client(
            "sagemaker-runtime", endpoint_url=url or self.api_url, config=Config(retries={"total_max_attempts": 1})
        )
        client.meta.events.register("before-sign.sagemaker-runtime", sign_for_api_gateway)
        return client

    @contextmanager
    def nothing_called(self) -> Iterator[None]:
        """The block may not make the functions call AWS, nor reach a model."""
        with self.cloud.recording() as seen:
            yield
        assert seen.of("sts") == []
        assert seen.of("sagemaker") == []
        assert seen.invocations == []


@dataclass
class Refusal:
    """A caught error, filled in when the block of `refused` has ended."""

    response: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return self.response["Error"]["Message"]

    @property
    def headers(self) -> dict[str, str]:
        return self.response["ResponseMetadata"]["HTTPHeaders"]


@contextmanager
def refused(status: int, code: str) -> Iterator[Refusal]:
    """The block's call must be answered with this status and error code."""
    refusal = Refusal()
    with pytest.raises(ClientError) as raised:
        yield refusal
    refusal.response = raised.value.response
    found = (refusal.response["ResponseMetadata"]["HTTPStatusCode"], refusal.response["Error"]["Code"])
    assert found == (status, code), refusal.message


def as_list(value: str | list[str]) -> list[str]:
    """A policy says one string or a list of them."""
    return [value] if isinstance(value, str) else value
