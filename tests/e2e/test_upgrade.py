"""An upgrade: the previous release is deployed, callers call all the time, then this tree is deployed over it.

The previous release is tests/upgrade/template-x86_64.yaml, the packaged template as it was, with functions of this tree
(in a zip of their own, so that Lambda is given new code). That shows what an upgrade's template does to what is
deployed and to who calls; not whether the functions of then and now get along. `make upgrade FROM=TAG` shows that, too:
it builds the tag's functions and names their package in UPGRADE_FROM. At a release, its dist/template-x86_64.yaml
becomes the kept one.
"""

import io
import os
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from release import package, version
from tests import deploy, people
from tests.cloud.client import Caller, Cloud, sign_for_api_gateway
from tests.cloud.endpoints import REGION, Endpoint
from tests.deploy import Stack
from tests.holdings import holdings

PARENT, CHILD = "272727272727", "282828282828"
KEPT = deploy.ROOT / "tests" / "upgrade"
TEMPLATE = "template-x86_64.yaml"
# Past this a caller that is not served counts as one that waits for ever.
PATIENCE_SECONDS = 60
# Further calls that each caller has answered before the next step.
CALLS = 5


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the previous release's template and its functions."""
    if given := os.environ.get("UPGRADE_FROM"):
        return Path(given)
    folder = tmp_path_factory.mktemp("previous")
    package.package("x86_64", folder)
    (folder / TEMPLATE).write_text(with_bounds((KEPT / TEMPLATE).read_text()))
    for function in package.FUNCTIONS:
        file = folder / package.archive(function, "x86_64")
        content = io.BytesIO(file.read_bytes())
        with zipfile.ZipFile(content, "a") as archive:
            archive.writestr("RELEASE", "the previous one")
        file.write_bytes(content.getvalue())
    return folder


def with_bounds(template: str) -> str:
    """The kept template is of a release whose provisioner was told no bounds. That of this tree, which runs under it
    here, makes nothing without; the release's own, of `make upgrade`, ignores them.
    """
    last = '          ADOPT_ARNS: !Join [",", !Ref AdoptArns]\n'
    assert template.count(last) == 1 and "OWN_STACK_ID" not in template, "a newer template is kept: this can go"
    bounds = {
        "OWN_STACK_ID": "!Ref AWS::StackId",
        "GRANTABLE_ACCOUNT_IDS": '!Join [",", !Ref TrustedAccountIds]',
        "OWN_GROUP": '"true"',
        "OWN_GROUP_USER_NAMES": '!Join [",", !Ref UserNames]',
        "OWN_GROUP_ROLE_ARNS": "!Ref RoleArn",
    }
    return template.replace(last, last + "".join(f"          {name}: {value}\n" for name, value in bounds.items()))


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("now")
    package.package("x86_64", folder)
    return folder


class Calls:
    """Calls made one after the other by a thread, from the start until all must be over."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.served = 0
        self.failures: list[str] = []
        self._call = call
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        self._thread.join(PATIENCE_SECONDS)

    def further(self, number: int) -> None:
        """Wait until so many more were answered, well or not."""
        until, end = self.answered + number, time.monotonic() + PATIENCE_SECONDS
        while self.answered < until:
            assert time.monotonic() < end, f"answered {self.answered} of {until}: {self.failures}"
            self._over.wait(0.01)

    @property
    def answered(self) -> int:
        return self.served + len(self.failures)

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._call()
                self.served += 1
            except Exception as error:
                self.failures.append(f"{type(error).__name__}: {error}")


@contextmanager
def calling(*calls: Callable[[], None]) -> Iterator[list[Calls]]:
    """Each call made over and over while the block runs."""
    callers = [Calls(call) for call in calls]
    for caller in callers:
        caller.start()
    try:
        yield callers
    finally:
        for caller in callers:
            caller.stop()


def once(caller: Caller, url: str | None = None) -> Any:
    """A client that does not call again by itself what was refused."""
    options = {"endpoint_url": url} if url else {}
    return caller.client("sagemaker-runtime", config=Config(retries={"total_max_attempts": 1}), **options)


def granted(cloud: Cloud, account: str) -> dict[str, Any]:
    """The grant's entities with their ids, since another id under the same name is another entity."""
    return {arn: held for arn, held in holdings(cloud, account).items() if "/sagemaker-external/" in arn}


def test_callers_are_served_while_both_sides_are_upgraded(
    cloud: Cloud, previous: Path, now: Path, record_property: Callable[[str, object], None]
):
    cloud.put_endpoint(Endpoint(PARENT, REGION, "iris", "echo"))
    alice = people.user(cloud, CHILD, "alice")

    def parent(release: Path) -> Stack:
        given = {"EndpointNames": ["iris"], "TrustedAccountIds": [CHILD], "CallerAttribution": "true"}
        return deploy.deploy(cloud, PARENT, "parent", given, "upgraded-parent", release / TEMPLATE)

    def child(release: Path, role: str) -> Stack:
        given = {"RoleArn": role, "EndpointNames": ["iris"], "UserNames": ["alice"], "CallerAttribution": "true"}
        return deploy.deploy(cloud, CHILD, "child", given, "upgraded-child", release / TEMPLATE)

    olds = [parent(previous)]
    role, external_id = olds[0].outputs["RoleArn"], olds[0].outputs["ExternalId"]
    olds.append(child(previous, role))
    before = [granted(cloud, stack.account) for stack in olds]
    code = [code_of(stack) for stack in olds]

    api = once(alice, cloud.local_url(olds[1].outputs["ApiUrl"]))
    api.meta.events.register("before-sign.sagemaker-runtime", sign_for_api_gateway)

    def through_the_api() -> None:
        assert api.invoke_endpoint(EndpointName="iris", Body=b"5.1")["Body"].read() == b"5.1"

    def by_the_recipe() -> None:
        session = alice.assume(role, ExternalId=external_id, RoleSessionName="recipe")
        assert once(session).invoke_endpoint(EndpointName="iris", Body=b"4.8")["Body"].read() == b"4.8"

    with calling(through_the_api, by_the_recipe) as callers:
        serve(callers)
        with cloud.recording() as seen:
            news = [parent(now)]
            serve(callers)
            news.append(child(now, role))
            serve(callers)
    failures = [failure for caller in callers for failure in caller.failures]
    served = sum(caller.served for caller in callers)
    record_property("summary", f"upgrade: {served} calls served, {len(failures)} failed")
    assert failures == []

    assert [code_of(stack) for stack in news] != code, "new code came"
    for old, new, held in zip(olds, news, before, strict=True):
        assert new.outputs.items() >= {k: v for k, v in old.outputs.items() if k != "Version"}.items()
        assert new.outputs["Version"] == version.of_workspace()
        assert granted(cloud, new.account) == held
    taken = [call["action"] for call in seen.of("iam") if call["action"].startswith(("Delete", "Detach", "Remove"))]
    # Of what CloudFormation itself keeps, an inline policy may be written anew; nothing of the grant goes.
    assert [action for action in taken if action not in ("DeleteRolePolicy", "DeletePolicyVersion")] == []

    for stack in reversed(news):
        stack.delete()
    assert holdings(cloud, PARENT) == holdings(cloud, CHILD) == {}


def serve(callers: list[Calls]) -> None:
    for caller in callers:
        caller.further(CALLS)


def code_of(stack: Stack) -> list[str]:
    functions = stack.admin.client("lambda").list_functions()["Functions"]
    return sorted(function["CodeSha256"] for function in functions)
