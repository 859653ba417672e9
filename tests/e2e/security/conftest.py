"""Two stacks with both halves, to attack: one adopts nothing, the AdoptArns of the other name three entities."""

from typing import Any

import pytest

from tests import deploy
from tests.cloud.client import Cloud
from tests.cloud.endpoints import REGION, Endpoint
from tests.e2e.security.fenced import ADOPTING, FRIEND, NAMED, PLAIN, Fenced


@pytest.fixture(scope="session")
def stacks(cloud: Cloud) -> dict[str, Fenced]:
    """By account."""

    def fenced(account: str, **given: Any) -> Fenced:
        cloud.put_endpoint(Endpoint(account, REGION, "iris", "echo"))
        return Fenced(deploy.deploy(cloud, account, "default", {"EndpointNames": ["iris"], **given}, "fenced"))

    plain = fenced(PLAIN, GrantableAccountIds=[FRIEND], AllowAnyEndpoint="true")
    return {PLAIN: plain, ADOPTING: fenced(ADOPTING, AdoptArns=NAMED)}


@pytest.fixture
def plain(stacks: dict[str, Fenced]) -> Fenced:
    return stacks[PLAIN]


@pytest.fixture
def adopting(stacks: dict[str, Fenced]) -> Fenced:
    return stacks[ADOPTING]
