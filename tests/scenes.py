"""What the demo shows of a deployed pair: the recipe, the API, streams, who is named to the parent, and refusals."""

import json
import shlex
import shutil
import subprocess
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from tests import iris, people, plain
from tests.cloud.client import Caller, Cloud, session_tags
from tests.cloud.endpoints import CHILD
from tests.deploy import Stack
from tests.transcript import Transcript

TESTER = "alice"
GRANTED = ("iris", "words")
# Exists in the parent's account, and is not granted.
OUTSIDE = "churn"
# What the model of `words` writes on from.
PROMPT = b"Errors should"
EVENTS = "text/event-stream"
# Of what is wrapped.
WIDTH = 96


@dataclass(frozen=True)
class Deployed:
    cloud: Cloud
    parent: Stack
    child: Stack
    tester: Caller

    @property
    def api_url(self) -> str:
        return self.child.outputs["ApiUrl"]

    @property
    def grant(self) -> dict[str, str]:
        """What the recipe passes to assume_role, from the parent's outputs."""
        return {"RoleArn": self.parent.outputs["RoleArn"], "ExternalId": self.parent.outputs["ExternalId"]}


def use(t: Transcript, d: Deployed) -> None:
    """Everything that must work."""
    t.heading(f"The recipe's own client, as {TESTER}: assume_role with the ExternalId, then invoke_endpoint")
    with t.step("six rows of the iris data set, straight to the endpoint"):
        session = d.tester.assume(d.grant["RoleArn"], ExternalId=d.grant["ExternalId"], RoleSessionName="recipe")
        answer = session.client("sagemaker-runtime").invoke_endpoint(
            EndpointName="iris", ContentType="text/csv", Body=iris.CSV
        )
        _compare(t, answer["Body"].read())

    t.heading(f"The same through the API, as {TESTER}, with no STS code")
    t.note(f"ApiUrl is {d.api_url}\nand answers on this machine as {d.cloud.local_url(d.api_url)}")
    with t.step("the same rows, a stock boto3 sagemaker-runtime client with endpoint_url"):
        answer = d.tester.api(d.api_url).invoke_endpoint(EndpointName="iris", ContentType="text/csv", Body=iris.CSV)
        _compare(t, answer["Body"].read())
    command = curl(d)
    if shutil.which("curl"):
        with t.step("one row with curl"):
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            same(done.stdout.split(), iris.LABELS[:1])
    else:
        t.note("curl is not installed, so this line was not tried:")
    t.note(shlex.join(command))


def streams(t: Transcript, d: Deployed) -> None:
    """Parts of an answer, each with the time from the request until the caller had it."""
    t.heading("A streamed answer, part by part: the model writes on from a word, and takes its time for each")
    with t.step("invoke_endpoint_with_response_stream, in boto3"):
        start = time.monotonic()
        api = d.tester.api(d.api_url)
        answer = api.invoke_endpoint_with_response_stream(EndpointName="words", Body=PROMPT)
        arrived = [(time.monotonic() - start, event["PayloadPart"]["Bytes"]) for event in answer["Body"]]
        _arrivals(t, arrived)
    with t.step(f"the same for browsers and curl, with Accept: {EVENTS}"):
        url = f"{d.cloud.local_url(d.api_url)}/endpoints/words/invocations-response-stream"
        start = time.monotonic()
        with plain.sent(d.tester, "POST", url, PROMPT, {"Accept": EVENTS}) as response:
            events = [(time.monotonic() - start, line) for line in response if line.strip()]
        _arrivals(t, events)
        same([line.removeprefix(b"data: ").strip() for _, line in events], [part.strip() for _, part in arrived])


def attribution(t: Transcript, d: Deployed) -> None:
    """What STS and SageMaker of the parent's account were told of the caller."""
    t.heading(f"The caller, as the parent's CloudTrail would see {TESTER} (what the local STS and SageMaker received)")
    with t.step("one call through the API"):
        with d.cloud.recording() as seen:
            d.tester.api(d.api_url).invoke_endpoint(EndpointName="iris", ContentType="text/csv", Body=iris.CSV)
        (assumed,), (invoked,) = seen.assumed, seen.invocations
        told, tags = assumed["params"], session_tags(assumed)
        rows = {
            "AssumeRole      roleSessionName": told["RoleSessionName"],
            "                sourceIdentity": told["SourceIdentity"],
            **{f"                tag {name}": value for name, value in tags.items()},
            "InvokeEndpoint  userIdentity.arn": invoked["caller"],
        }
        width = max(map(len, rows))
        t.note("\n".join(f"{name:<{width}}  {value}" for name, value in rows.items()))
        same(told["SourceIdentity"], TESTER)
        same(tags["Caller"], f"arn:aws:iam::{CHILD}:user/{TESTER}")
        same(invoked["caller"].rpartition("/")[2], told["RoleSessionName"])


def doctor(t: Transcript, d: Deployed) -> None:
    t.heading("The doctor: GET /endpoints/iris")
    with t.step("the grant works, and the parent insists on the ExternalId"):
        report = _examined(d, "iris")
        _show_report(t, report)
        same((report["Assumable"], report["ExternalIdEnforced"]), (True, True))
        # The recipe's ExternalId is the parent's account id.
        same([finding["Code"] for finding in report["Findings"]], ["ExternalIdIsAccountId"])
    with t.step("a trust as the console writes it, without the ExternalId, is found"):
        with _open_trust(d):
            report = _examined(d, "iris")
        _show_report(t, report)
        codes = [finding["Code"] for finding in report["Findings"]]
        same(codes, ["ExternalIdNotEnforced", "ExternalIdIsAccountId"])


def refusals(t: Transcript, d: Deployed) -> None:
    """Everything that must not work; no refused call may reach a model."""
    t.heading("Refused")
    role, right = d.grant["RoleArn"], d.grant["ExternalId"]
    mallory = people.user(d.cloud, people.STRANGER, "mallory", people.allow("sts:AssumeRole"))
    session = d.tester.assume(role, ExternalId=right, RoleSessionName="recipe")
    direct, api = session.client("sagemaker-runtime"), d.tester.api(d.api_url)
    unsigned = f"{d.cloud.local_url(d.api_url)}/endpoints/iris/invocations"

    cases: list[tuple[str, str, Callable[[], object]]] = [
        (
            "a wrong ExternalId",
            "AccessDenied",
            lambda: d.tester.assume(role, ExternalId="000000000000", RoleSessionName="recipe"),
        ),
        ("no ExternalId", "AccessDenied", lambda: d.tester.assume(role, RoleSessionName="recipe")),
        (
            f"an account that is not trusted ({people.STRANGER})",
            "AccessDenied",
            lambda: mallory.assume(role, ExternalId=right, RoleSessionName="recipe"),
        ),
        (
            f"an endpoint outside the grant ({OUTSIDE}), directly",
            "AccessDeniedException",
            lambda: direct.invoke_endpoint(EndpointName=OUTSIDE, Body=b"x"),
        ),
        (
            f"an endpoint outside the grant ({OUTSIDE}), through the API",
            "ValidationError",
            lambda: api.invoke_endpoint(EndpointName=OUTSIDE, Body=b"x"),
        ),
        ("an unsigned call of the API", "MissingAuthenticationTokenException", lambda: _post(unsigned)),
    ]
    for title, code, call in cases:
        with t.step(title):
            with d.cloud.recording() as seen:
                said = _refusal(call)
            same(said[0], code)
            same(seen.invocations, [])
            t.note(": ".join(said))


def curl(d: Deployed) -> list[str]:
    return _curl(d, "iris/invocations", "Content-Type: text/csv", iris.ROWS[0][0])


def streaming_curl(d: Deployed) -> list[str]:
    return [*_curl(d, "words/invocations-response-stream", f"Accept: {EVENTS}", PROMPT.decode()), "--no-buffer"]


def _curl(d: Deployed, path: str, header: str, body: str) -> list[str]:
    return [
        "curl",
        "--silent",
        "--show-error",
        "--fail-with-body",
        "--aws-sigv4",
        f"aws:amz:{d.cloud.region}:execute-api",
        "--user",
        f"{d.tester.access_key}:{d.tester.secret_key}",
        "--header",
        header,
        "--data-binary",
        body,
        f"{d.cloud.local_url(d.api_url)}/endpoints/{path}",
    ]


def _compare(t: Transcript, answer: bytes) -> None:
    predicted = answer.decode().split()
    for (row, label), prediction in zip(iris.ROWS, predicted, strict=True):
        t.note(f"{row}  is {label:<10}  predicted {prediction}")
    same(predicted, iris.LABELS)


def _arrivals(t: Transcript, arrived: list[tuple[float, bytes]]) -> None:
    parts = [f"{seconds:.2f} s {part.decode().strip()}" for seconds, part in arrived]
    # A part keeps to one line, whatever blanks it holds.
    lines = textwrap.wrap("  ".join(part.replace(" ", "\0") for part in parts), WIDTH, break_on_hyphens=False)
    t.note("\n".join(lines).replace("\0", " "))
    if len(arrived) < 2:
        raise AssertionError("the answer did not come in parts")


def _examined(d: Deployed, endpoint: str) -> dict[str, Any]:
    with plain.sent(d.tester, "GET", f"{d.cloud.local_url(d.api_url)}/endpoints/{endpoint}") as answer:
        return json.load(answer)


def _show_report(t: Transcript, report: dict[str, Any]) -> None:
    names = ("Assumable", "ExternalIdEnforced", "CallerAttribution", "SessionSeconds", "Region")
    t.note(", ".join(f"{name}: {json.dumps(report[name])}" for name in names))
    for finding in report["Findings"]:
        t.note(f"{finding['Severity']} {finding['Code']}")
        for text in (finding["Message"], f"{finding['Side']}: {finding['Remedy']}"):
            t.note(textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  "))


@contextmanager
def _open_trust(d: Deployed) -> Iterator[None]:
    """The role's trust without its conditions, while the block runs."""
    iam = d.parent.admin.client("iam")
    name = d.grant["RoleArn"].rpartition("/")[2]
    trust = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    statements = [{k: v for k, v in statement.items() if k != "Condition"} for statement in trust["Statement"]]
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps({**trust, "Statement": statements}))
    try:
        yield
    finally:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))


def same(found: object, expected: object) -> None:
    if found != expected:
        raise AssertionError(f"expected {expected}, found {found}")


def _post(url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(url, iris.CSV, {"Content-Type": "text/csv"})).close()


def _refusal(call: Callable[[], object]) -> tuple[str, str]:
    """Make a call that must be refused: the error's code and message."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    except urllib.error.HTTPError as error:
        return error.headers["x-amzn-ErrorType"], f"{error.code} {error.read().decode()}"
    raise AssertionError("the call was not refused")
