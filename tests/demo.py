"""`make demo`, `make up` and `make down`: the whole recipe on this machine, as a transcript.

demo runs everything once and leaves nothing behind; up leaves the local cloud running with both halves deployed, and a
page on it; down stops them.
"""

import argparse
import shlex
import sys
import time
from pathlib import Path

from tests import deploy, iris, people, scenes
from tests.cloud import process
from tests.cloud.client import Cloud
from tests.cloud.endpoints import CHILD, PARENT
from tests.deploy import Stack
from tests.page import background
from tests.scenes import GRANTED, TESTER, Deployed
from tests.transcript import Broken, Transcript

DIRECTORY = deploy.ROOT / "target" / "demo"


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
        grant = {"EndpointNames": GRANTED, "TrustedAccountIds": [CHILD], "CallerAttribution": "true"}
        parent = deploy.deploy(cloud, PARENT, "parent", grant)
    _show(t, parent)

    t.heading(f"The child's half, in account {CHILD}")
    with t.step(f"an administrator makes the user {TESTER}", vital=True):
        tester = people.user(cloud, CHILD, TESTER)
    with t.step(f"sam deploy --config-env child, with UserNames={TESTER}", vital=True):
        child = deploy.deploy(
            cloud,
            CHILD,
            "child",
            {
                "RoleArn": parent.outputs["RoleArn"],
                "EndpointNames": GRANTED,
                "UserNames": [TESTER],
                "CallerAttribution": "true",
            },
        )
    _show(t, child)
    return Deployed(cloud, parent, child, tester)


def take_down(t: Transcript, d: Deployed) -> None:
    t.heading("Removed")
    for side, stack in (("child", d.child), ("parent", d.parent)):
        with t.step(f"the {side}'s stack is deleted"):
            stack.delete()
    for account in (CHILD, PARENT):
        with t.step(f"no role, policy or group is left in {account}"):
            scenes.same(people.entities(d.cloud, account), [])


def demo() -> int:
    t = Transcript()
    start = time.monotonic()
    # Of a demo that was killed.
    process.stop(DIRECTORY)
    try:
        deployed = bring_up(t, DIRECTORY, 0)
        for scene in (scenes.use, scenes.streams, scenes.attribution, scenes.doctor, scenes.refusals):
            scene(t, deployed)
        take_down(t, deployed)
    except Broken:
        pass
    finally:
        process.stop(DIRECTORY)
    held = t.steps - len(t.failures)
    t.heading(f"{held} of {t.steps} steps held, in {time.monotonic() - start:.0f} s.")
    return 1 if t.failures else 0


def up(port: int, page_port: int) -> int:
    if running := process.status():
        print(f"a local cloud already runs on {running.url}, stop it with `make down`", file=sys.stderr)
        return 1
    t = Transcript()
    try:
        d = bring_up(t, process.DIRECTORY, port)
        t.heading("The page")
        with t.step("a window on all of this, for this machine's browser", vital=True):
            page = background.start(background.with_outsider(d), page_port)
            t.note(page.url)
    except Broken:
        process.stop()
        return 1
    t.heading(f"The API answers at {d.cloud.local_url(d.api_url)} until `make down`. To paste:")
    print()
    print(shlex.join(scenes.curl(d)), shlex.join(scenes.streaming_curl(d)), snippet(d), sep="\n\n")
    return 0


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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("command", choices=("demo", "up", "down"))
    parser.add_argument("--port", type=int, default=process.PORT, help="for up (default: %(default)s)")
    parser.add_argument(
        "--page-port", type=int, default=background.PORT, help="of the page, for up (default: %(default)s)"
    )
    options = parser.parse_args()
    try:
        match options.command:
            case "demo":
                return demo()
            case "up":
                return up(options.port, options.page_port)
            case _:
                background.stop()
                print("stopped" if process.stop() else "no local cloud runs")
                return 0
    except process.CloudError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
