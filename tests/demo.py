"""`make demo`, `make up` and `make down`: the whole recipe on this machine, as a transcript.

demo runs everything once and leaves nothing behind; up leaves the local cloud running with both halves deployed; down
stops it.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import ClientError

from tests import deploy, iris, people
from tests.cloud import process
from tests.cloud.client import Caller, Cloud
from tests.cloud.endpoints import CHILD, PARENT
from tests.deploy import Stack
from tests.transcript import Broken, Transcript

DIRECTORY = deploy.ROOT / "target" / "demo"
TESTER = "alice"
GRANTED = ("iris", "echo")
# Exists in the parent's account, and is not granted.
OUTSIDE = "churn"


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


def bring_up(t: Transcript, directory: Path, port: int) -> Deployed:
    """Build, start the cloud, deploy both halves and let the tester in."""
    t.heading("Set up (the first build takes some minutes)")
    with t.step("sam build: both functions, with cargo-lambda", vital=True):
        deploy.build()
    with t.step("the local cloud starts: IAM enforced, real model servers behind the endpoints", vital=True):
        cloud = Cloud(process.start(port, directory).url)
        t.note(f"{cloud.url}, logs in {directory}")

    t.heading(f"The parent's half, in account {PARENT}")
    with t.step("sam deploy --config-env parent", vital=True):
        parent = deploy.deploy(cloud, PARENT, "parent", {"EndpointNames": GRANTED, "TrustedAccountIds": [CHILD]})
    _show(t, parent)

    t.heading(f"The child's half, in account {CHILD}")
    with t.step(f"an administrator makes the user {TESTER}", vital=True):
        tester = people.user(cloud, CHILD, TESTER)
    with t.step(f"sam deploy --config-env child, with UserNames={TESTER}", vital=True):
        child = deploy.deploy(
            cloud,
            CHILD,
            "child",
            {"RoleArn": parent.outputs["RoleArn"], "EndpointNames": GRANTED, "UserNames": [TESTER]},
        )
    _show(t, child)
    return Deployed(cloud, parent, child, tester)


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
            _same(done.stdout.split(), iris.LABELS[:1])
    else:
        t.note("curl is not installed, so this line was not tried:")
    t.note(shlex.join(command))


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
            _same(said[0], code)
            _same(seen.invocations, [])
            t.note(": ".join(said))


def take_down(t: Transcript, d: Deployed) -> None:
    t.heading("Removed")
    for side, stack in (("child", d.child), ("parent", d.parent)):
        with t.step(f"the {side}'s stack is deleted"):
            stack.delete()
    for account in (CHILD, PARENT):
        with t.step(f"no role, policy or group is left in {account}"):
            _same(people.entities(d.cloud, account), [])


def demo() -> int:
    t = Transcript()
    start = time.monotonic()
    # Of a demo that was killed.
    process.stop(DIRECTORY)
    try:
        deployed = bring_up(t, DIRECTORY, 0)
        use(t, deployed)
        refusals(t, deployed)
        take_down(t, deployed)
    except Broken:
        pass
    finally:
        process.stop(DIRECTORY)
    held = t.steps - len(t.failures)
    t.heading(f"{held} of {t.steps} steps held, in {time.monotonic() - start:.0f} s.")
    return 1 if t.failures else 0


def up(port: int) -> int:
    if running := process.status():
        print(f"a local cloud already runs on {running.url}, stop it with `make down`", file=sys.stderr)
        return 1
    t = Transcript()
    try:
        d = bring_up(t, process.DIRECTORY, port)
    except Broken:
        process.stop()
        return 1
    t.heading(f"The API answers at {d.cloud.local_url(d.api_url)} until `make down`. To paste:")
    print(f"\n{shlex.join(curl(d))}\n\n{snippet(d)}")
    return 0


def curl(d: Deployed) -> list[str]:
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
        "Content-Type: text/csv",
        "--data-binary",
        iris.ROWS[0][0],
        f"{d.cloud.local_url(d.api_url)}/endpoints/iris/invocations",
    ]


def snippet(d: Deployed) -> str:
    return f'''\
import boto3
client = boto3.client(
    "sagemaker-runtime", region_name="{d.cloud.region}", endpoint_url="{d.cloud.local_url(d.api_url)}",
    aws_access_key_id="{d.tester.access_key}", aws_secret_access_key="{d.tester.secret_key}")
# API Gateway wants signatures for execute-api, the client would sign for sagemaker.
client.meta.events.register(
    "before-sign.sagemaker-runtime",
    lambda request, **_: request.context.setdefault("signing", {{}}).update(signing_name="execute-api"))
answer = client.invoke_endpoint(EndpointName="iris", ContentType="text/csv", Body="{iris.ROWS[0][0]}")
print(answer["Body"].read().decode())
'''


def _show(t: Transcript, stack: Stack) -> None:
    width = max(map(len, stack.outputs))
    t.note("\n".join(f"{key:<{width}}  {value}" for key, value in sorted(stack.outputs.items())))


def _compare(t: Transcript, answer: bytes) -> None:
    predicted = answer.decode().split()
    for (row, label), prediction in zip(iris.ROWS, predicted, strict=True):
        t.note(f"{row}  is {label:<10}  predicted {prediction}")
    _same(predicted, iris.LABELS)


def _same(found: object, expected: object) -> None:
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("command", choices=("demo", "up", "down"))
    parser.add_argument("--port", type=int, default=process.PORT, help="for up (default: %(default)s)")
    options = parser.parse_args()
    try:
        match options.command:
            case "demo":
                return demo()
            case "up":
                return up(options.port)
            case _:
                print("stopped" if process.stop() else "no local cloud runs")
                return 0
    except process.CloudError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
