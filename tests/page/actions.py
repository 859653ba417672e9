"""What the page shows and does: the two halves as IAM has them, and calls whose every step the local cloud recorded.

Everything is signed here. The page is given names, times and answers, and no key.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from tests import plain
from tests.cloud.client import Caller, Cloud, Seen
from tests.deploy import Stack, outputs
from tests.scenes import EVENTS, OUTSIDE

# A model of this demo takes a few lines of text; the page says so before the server does.
LARGEST_BODY = 4096
_API = "/_aws/execute-api/"
Message = dict[str, Any]


@dataclass(frozen=True)
class Deployed:
    """Both halves, a member of the group and a user of the child's account who is none."""

    cloud: Cloud
    parent: Stack
    child: Stack
    member: Caller
    outsider: Caller
    # Their names, by access key.
    names: dict[str, str]

    def to_json(self) -> str:
        keys = {name: [caller.access_key, caller.secret_key] for name, caller in self._callers().items()}
        stacks = {"parent": self.parent, "child": self.child}
        stacks_said = {side: [stack.account, stack.name] for side, stack in stacks.items()}
        return json.dumps({"url": self.cloud.url, "stacks": stacks_said, "keys": keys, "names": self.names})

    @classmethod
    def of_json(cls, text: str) -> "Deployed":
        said = json.loads(text)
        cloud = Cloud(said["url"])
        stacks = [Stack(cloud, *of, outputs(cloud, *of)) for of in map(said["stacks"].get, ("parent", "child"))]
        callers = [Caller(cloud, *said["keys"][name]) for name in ("member", "outsider")]
        return cls(cloud, *stacks, *callers, said["names"])

    def _callers(self) -> dict[str, Caller]:
        return {"member": self.member, "outsider": self.outsider}

    def url(self, path: str) -> str:
        return f"{self.cloud.local_url(self.child.outputs['ApiUrl'])}/endpoints/{path}"


@dataclass(frozen=True)
class Step:
    """One call of the sequence that an action set off, in milliseconds from its beginning."""

    by: str
    to: str
    what: str
    detail: str
    status: int
    at: float
    took: float


class Actions:
    """One action at a time, so that what is recorded meanwhile is what it did."""

    def __init__(self, deployed: Deployed) -> None:
        self._d = deployed
        self._one = threading.Lock()

    def world(self) -> Message:
        """The two accounts and the grant, read from IAM now."""
        parent, child = self._d.parent, self._d.child
        role = parent.admin.client("iam").get_role(RoleName=parent.outputs["RoleArn"].rpartition("/")[2])["Role"]
        (trust,) = role["AssumeRolePolicyDocument"]["Statement"][:1]
        policy = self._granted(parent)
        group = child.admin.client("iam").get_group(GroupName=child.outputs["GroupArn"].rpartition("/")[2])
        return {
            "version": parent.outputs["Version"],
            "region": self._d.cloud.region,
            "parent": {
                "account": parent.account,
                "role": parent.outputs["RoleArn"],
                "boundary": role["PermissionsBoundary"]["PermissionsBoundaryArn"],
                "trusts": _list(trust["Principal"]["AWS"]),
                "asksForExternalId": "sts:ExternalId" in trust.get("Condition", {}).get("StringEquals", {}),
                "endpoints": sorted({arn.rpartition("/")[2] for arn in policy}),
            },
            "child": {
                "account": child.account,
                "group": child.outputs["GroupArn"],
                "members": [user["UserName"] for user in group["Users"]],
                "api": child.outputs["ApiUrl"],
                "invoker": child.outputs["InvokerRoleArn"],
            },
        }

    @staticmethod
    def _granted(parent: Stack) -> list[str]:
        iam, found = parent.admin.client("iam"), []
        for arn in parent.outputs["PolicyArns"].split(","):
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
            found += [resource for s in document["Statement"] for resource in _list(s["Resource"])]
        return found

    def invoke(self, rows: str) -> Message:
        """The rows to the iris model through the API, as the member."""
        return self._act(lambda: self._post(self._d.member, "iris/invocations", rows, {"Content-Type": "text/csv"}))

    def stream(self, prompt: str) -> Iterator[Message]:
        """The parts of the words model's answer as they come, then what the whole was like."""
        with self._one, self._d.cloud.recording() as seen:
            start = time.time()
            headers = {"Accept": EVENTS, "Content-Type": "text/plain"}
            url = self._d.url("words/invocations-response-stream")
            with plain.sent(self._d.member, "POST", url, prompt.encode(), headers) as answer:
                said = _said(answer)
                if answer.status == 200:
                    for line in answer:
                        if line.startswith(b"data: "):
                            part = line.removeprefix(b"data: ").decode("utf-8", "replace").rstrip("\r\n")
                            yield {"part": part, "at": _ms(time.time() - start)}
                else:
                    said |= {"body": answer.read().decode("utf-8", "replace")}
            took = time.time() - start
        yield {"done": said | self._sequence(seen, start, took)}

    def refuse(self, case: str) -> Message:
        """A call that must not work. Raises KeyError for a case that there is not."""
        return self._act(self.refusals[case])

    @property
    def refusals(self) -> dict[str, Callable[[], Message]]:
        rows = "5.1,3.5,1.4,0.2"
        return {
            "no-signature": lambda: self._post(None, "iris/invocations", rows, {}),
            "not-in-the-group": lambda: self._post(self._d.outsider, "iris/invocations", rows, {}),
            "endpoint-not-granted": lambda: self._post(self._d.member, f"{OUTSIDE}/invocations", rows, {}),
            "wrong-external-id": self._wrong_external_id,
        }

    def _act(self, call: Callable[[], Message]) -> Message:
        with self._one, self._d.cloud.recording() as seen:
            start = time.time()
            said = call()
            took = time.time() - start
        return said | self._sequence(seen, start, took)

    def _post(self, caller: Caller | None, path: str, body: str, headers: dict[str, str]) -> Message:
        url = self._d.url(path)
        if caller is None:
            to = urlsplit(url)
            with closing(http.client.HTTPConnection(to.netloc, timeout=plain.TIMEOUT_SECONDS)) as connection:
                connection.request("POST", to.path, body, headers)
                answer = connection.getresponse()
                return _said(answer) | {"body": answer.read().decode("utf-8", "replace")}
        with plain.sent(caller, "POST", url, body.encode(), headers) as answer:
            return _said(answer) | {"body": answer.read().decode("utf-8", "replace")}

    def _wrong_external_id(self) -> Message:
        try:
            self._d.member.assume(
                self._d.parent.outputs["RoleArn"], ExternalId="000000000000", RoleSessionName="recipe"
            )
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return {"status": status, "error": error.response["Error"]["Code"], "body": str(error), "timing": []}
        return {"status": 200, "error": "", "body": "the role was assumed", "timing": []}

    def _sequence(self, seen: Seen, start: float, took: float) -> Message:
        steps = [step for call in seen.calls if (step := self._step(call, start, took))]
        steps.sort(key=lambda step: step.at)
        return {"took": _ms(took), "steps": [asdict(step) for step in steps], "reachedModel": bool(seen.invocations)}

    def _step(self, call: Message, start: float, took: float) -> Step | None:
        by = self._d.names.get(call["access_key"], "the invoker" if call["access_key"] else "nobody (unsigned)")
        if call["path"].startswith(_API):
            to, what, detail = "API Gateway, child", f"{call['method']} /{call['path'].split('/', 5)[5]}", ""
        elif (call["service"], call["action"]) == ("sts", "AssumeRole"):
            to, what = "STS, for the parent's role", "AssumeRole"
            detail = f"session {call['params'].get('RoleSessionName', '')}"
        elif call["service"] == "sagemaker":
            to, what, detail = "SageMaker, parent", f"{call['method']} {call['path']}", ""
        else:
            return None
        seconds = call["seconds"]
        # The API's own answer may still be on its last byte when this is read.
        lasted = took if seconds is None else seconds
        return Step(by, to, what, detail, call["status"] or 0, _ms(max(0.0, call["started"] - start)), _ms(lasted))


def _said(answer: http.client.HTTPResponse) -> Message:
    timing = []
    for entry in filter(None, map(str.strip, answer.headers.get("Server-Timing", "").split(","))):
        name, *attributes = entry.split(";")
        given = dict(attribute.strip().split("=", 1) for attribute in attributes if "=" in attribute)
        timing.append({"name": name, "ms": float(given.get("dur", 0))})
    return {"status": answer.status, "error": answer.headers.get("x-amzn-ErrorType", ""), "timing": timing}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
