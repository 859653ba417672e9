"""Deploy the real template.yaml to an account of the local cloud, with the commands that a user types.

`sam build` and `sam deploy --config-env parent|child` run unchanged; AWS_ENDPOINT_URL is all that points them at the
local cloud. As a user does, the helper fills in samconfig.toml, in a copy. Stacks are deleted by the API call that
`sam delete` makes, not by that command: it works here too, but looks only every 30 s whether the stack is gone.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomlkit
from botocore.exceptions import ClientError, WaiterError

from tests.cloud.client import Caller, Cloud

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / ".aws-sam" / "build" / "template.yaml"
FILLED = ROOT / "target" / "deploy"
TOOLS = Path(sys.executable).parent
# A deployment takes seconds here; past this something hangs.
DEADLINE_SECONDS = 120

Overrides = Mapping[str, str | Sequence[str]]


class DeployFailed(Exception):
    """A stack did not get where it should; the text has its events and what its functions printed."""


@dataclass(frozen=True)
class Stack:
    cloud: Cloud
    account: str
    name: str
    outputs: Mapping[str, str]

    @property
    def admin(self) -> Caller:
        return self.cloud.admin(self.account)

    def physical_id(self, logical_id: str) -> str:
        """What Ref gives."""
        found = self.admin.client("cloudformation").describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical_id
        )
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def delete(self) -> None:
        delete(self.cloud, self.account, self.name)


def build() -> None:
    """`make build`: `sam build` of both functions, with cargo-lambda and the zig that come with the tools."""
    _run(["make", "build", f"VENV={TOOLS.parent}"], dict(os.environ), None)


def deploy(
    cloud: Cloud,
    account: str,
    side: str,
    overrides: Overrides,
    name: str | None = None,
    packaged: Path | None = None,
) -> Stack:
    """`sam deploy --config-env SIDE` with the given parameters filled in; creates the stack or updates it.

    The sides are the environments of samconfig.toml: parent, child and default (both in one account). What was built
    here is deployed, or a packaged template with the files beside it.
    """
    if packaged is None and not BUILT.exists():
        raise DeployFailed(f"{BUILT} does not exist, run `make build` first")
    config, name = _fill_in(side, overrides, name)
    template = ["--template-file", packaged] if packaged else []
    command = [TOOLS / "sam", "deploy", *template, "--config-env", side, "--config-file", config]
    try:
        _run(command, shell(cloud, account), cwd=packaged.parent if packaged else ROOT)
    except DeployFailed as failed:
        raise DeployFailed(f"{failed}\n{explain(cloud, account, name)}") from None
    return Stack(cloud, account, name, outputs(cloud, account, name))


def deploy_template(cloud: Cloud, account: str, name: str, template: str, **parameters: str) -> Stack:
    """Create or update a stack from a template of the caller's own, as somebody who uses the custom resources does."""
    cloudformation = cloud.admin(account).client("cloudformation")
    exists = status(cloud, account, name) is not None
    act = cloudformation.update_stack if exists else cloudformation.create_stack
    act(
        StackName=name,
        TemplateBody=template,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    reached = _settled(cloud, account, name, "stack_update_complete" if exists else "stack_create_complete")
    if reached not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise DeployFailed(f"{name} ended as {reached}\n{explain(cloud, account, name)}")
    return Stack(cloud, account, name, outputs(cloud, account, name))


def delete(cloud: Cloud, account: str, name: str) -> None:
    """Delete a stack through CloudFormation itself and wait until it is gone."""
    cloud.admin(account).client("cloudformation").delete_stack(StackName=name)
    reached = _settled(cloud, account, name, "stack_delete_complete")
    if reached is not None:
        raise DeployFailed(f"{name} ended as {reached}\n{explain(cloud, account, name)}")


def status(cloud: Cloud, account: str, name: str) -> str | None:
    """The stack's status; None when it does not exist (any more)."""
    try:
        return _describe(cloud, account, name)["StackStatus"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise


def outputs(cloud: Cloud, account: str, name: str) -> dict[str, str]:
    return {output["OutputKey"]: output["OutputValue"] for output in _describe(cloud, account, name).get("Outputs", [])}


def events(cloud: Cloud, account: str, name: str) -> list[dict[str, Any]]:
    """The stack's events, oldest first."""
    found = cloud.admin(account).client("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    return found[::-1]


def explain(cloud: Cloud, account: str, name: str) -> str:
    """The stack's events and what its functions printed: what one wants to see when it failed."""
    try:
        happened = events(cloud, account, name)
    except ClientError as error:
        return f"(no events: {error})"
    lines = [f"Events of {name}:"]
    lines += [
        f"  {e['ResourceStatus']:<28} {e['LogicalResourceId']:<28} {e.get('ResourceStatusReason', '')}"
        for e in happened
    ]
    functions = {
        e["PhysicalResourceId"]
        for e in happened
        if e["ResourceType"] == "AWS::Lambda::Function" and e.get("PhysicalResourceId")
    }
    for function in sorted(functions):
        lines.append(f"Output of {function}:")
        lines += [f"  {line}" for line in cloud.logs(account, function).splitlines()]
    return "\n".join(lines)


def _describe(cloud: Cloud, account: str, name: str) -> dict[str, Any]:
    return cloud.admin(account).client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]


def _settled(cloud: Cloud, account: str, name: str, waiter: str) -> str | None:
    """Wait for the waiter's condition, or for another final state, and say which it is."""
    pause = 0.1
    try:
        cloud.admin(account).client("cloudformation").get_waiter(waiter).wait(
            StackName=name, WaiterConfig={"Delay": pause, "MaxAttempts": int(DEADLINE_SECONDS / pause)}
        )
    except WaiterError as error:
        if "Max attempts exceeded" in str(error):
            raise DeployFailed(f"{name} does not settle\n{explain(cloud, account, name)}") from None
    return status(cloud, account, name)


def _fill_in(side: str, overrides: Overrides, name: str | None) -> tuple[Path, str]:
    """A copy of samconfig.toml with a user's values in it, and the name of its stack."""
    config = tomlkit.parse((ROOT / "samconfig.toml").read_text())
    parameters = config[side]["deploy"]["parameters"]  # type: ignore[index]
    if name is not None:
        parameters["stack_name"] = name  # type: ignore[index]
    for key, value in overrides.items():
        parameters["parameter_overrides"][key] = value if isinstance(value, str) else list(value)  # type: ignore[index]
    stack_name = str(parameters["stack_name"])  # type: ignore[index]
    FILLED.mkdir(parents=True, exist_ok=True)
    file = FILLED / f"{stack_name}.toml"
    file.write_text(tomlkit.dumps(config))
    return file, stack_name


def shell(cloud: Cloud, account: str) -> dict[str, str]:
    """An administrator's shell: their account, the local cloud, and nothing of this machine's AWS set-up."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_DEFAULT_REGION": cloud.region,
        "AWS_ENDPOINT_URL": cloud.url,
        "SAM_CLI_TELEMETRY": "0",
        # How often sam looks at the stack; it sleeps this long at least once.
        "SAM_CLI_POLL_DELAY": "0.2",
    }


def _run(
    command: Sequence[str | Path],
    environment: dict[str, str],
    deadline: float | None = DEADLINE_SECONDS,
    cwd: Path = ROOT,
) -> None:
    shown = " ".join((Path(command[0]).name, *map(str, command[1:])))
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=deadline,
        )
    except subprocess.TimeoutExpired:
        raise DeployFailed(f"`{shown}` did not end within {deadline} s") from None
    if done.returncode != 0:
        raise DeployFailed(f"`{shown}` exited with {done.returncode}:\n{done.stdout}")
