"""Other clients than boto3, as people run them: a smoke of the AWS CLI and of the Rust SDK; conformance is boto3's.

The CLI has no InvokeEndpointWithResponseStream: it cannot print an event stream, and version 1 takes the command out of
sagemaker-runtime for that (its customizations/removals.py).
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import deploy, iris
from tests.e2e.world import World

TOOLS = Path(sys.executable).parent
# The CLI starts slowly on a busy machine; a build of the example may come first.
CALL_SECONDS, BUILD_SECONDS = 60, 900

Run = Callable[..., subprocess.CompletedProcess[str]]


def environment(world: World) -> dict[str, str]:
    """A member's shell, with nothing of this machine's AWS set-up."""
    return {
        "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
        "AWS_ACCESS_KEY_ID": world.tester.access_key,
        "AWS_SECRET_ACCESS_KEY": world.tester.secret_key,
        "AWS_REGION": world.cloud.region,
        "AWS_DEFAULT_REGION": world.cloud.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "API_URL": world.api_url,
    }


@pytest.fixture(scope="module")
def aws(world: World, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The CLI in a home of its own, taught as docs/calling.md says."""
    home = tmp_path_factory.mktemp("home")

    def run(command: str) -> subprocess.CompletedProcess[str]:
        variables = {**environment(world), "HOME": str(home)}
        return subprocess.run(
            ["bash", "-ec", command], cwd=home, env=variables, capture_output=True, text=True, timeout=CALL_SECONDS
        )

    (home / "rows.csv").write_bytes(iris.CSV)
    taught = run(block("aws configure add-model").partition("\n\n")[0])
    assert taught.returncode == 0, taught.stderr
    return run


def block(holding: str, page: str = "calling.md") -> str:
    """The code block of a page of the documentation with this text."""
    blocks = (deploy.ROOT / "docs" / page).read_text().split("```")[1::2]
    (found,) = [block for block in blocks if holding in block]
    return found.partition("\n")[2]


def test_the_documented_line_for_the_cli_works(aws: Run):
    done = aws(block("aws configure add-model").partition("\n\n")[2])
    assert done.returncode == 0, done.stderr
    # The answer's body goes to the file that the line names, standard output; the CLI adds the other members.
    assert done.stdout.splitlines()[: len(iris.LABELS)] == iris.LABELS


def test_the_documented_calls_by_curl_work(aws: Run):
    done = aws(block("/endpoints/iris/invocations"))
    assert (done.returncode, done.stdout.strip()) == (0, iris.ROWS[0][1]), done.stderr
    # Another endpoint of that name is not granted here; this one gives back what it is sent.
    done = aws(block("/invocations-response-stream").replace("/words/", "/echo/"))
    assert (done.returncode, done.stdout.strip()) == (0, "tell me"), done.stderr


def test_the_documented_question_to_the_doctor_is_answered(aws: Run):
    done = aws(block("/endpoints/iris", "child.md"))
    assert done.returncode == 0, done.stderr
    assert (report := json.loads(done.stdout))["ExternalIdEnforced"] is True
    assert report["Findings"] == []


def test_the_documented_call_by_boto3_works(aws: Run):
    done = aws(f"{sys.executable} - <<'PYTHON'\n{block('import boto3')}PYTHON")
    assert (done.returncode, done.stdout.strip()) == (0, iris.ROWS[0][1]), done.stderr


def test_the_cli_invokes_an_endpoint(aws: Run):
    done = aws(
        'aws sagemaker-external invoke-endpoint --endpoint-url "$API_URL" --endpoint-name echo --body fileb://rows.csv'
        " --content-type text/x-thing --custom-attributes trace=1 --target-variant Canary answer"
        " && cmp answer rows.csv"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "ContentType": "text/x-thing",
        "CustomAttributes": "trace=1",
        "InvokedProductionVariant": "Canary",
    }


def test_the_cli_invokes_an_endpoint_asynchronously(aws: Run):
    done = aws(
        'aws sagemaker-external invoke-endpoint-async --endpoint-url "$API_URL" --endpoint-name echo'
        " --input-location s3://bucket/key --inference-id from-the-cli"
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["InferenceId"] == "from-the-cli"
    assert answer["OutputLocation"].startswith("s3://")


def test_r02_the_cli_names_the_error(aws: Run):
    done = aws(
        'aws sagemaker-external invoke-endpoint --endpoint-url "$API_URL" --endpoint-name echo --body no-room'
        " --custom-attributes status=507 answer"
    )
    assert done.returncode != 0
    assert "(ModelError)" in done.stderr


def test_the_rust_sdks_own_client_calls_all_three(world: World):
    """functions/invoker/examples/rust_sdk.rs; `cargo test` has built it before."""
    build = ["cargo", "build", "--workspace", "--examples", "--locked"]
    subprocess.run(build, cwd=deploy.ROOT, check=True, capture_output=True, timeout=BUILD_SECONDS)
    with world.cloud.recording() as seen:
        done = subprocess.run(
            [deploy.ROOT / "target" / "debug" / "examples" / "rust_sdk", "echo", "hello from Rust"],
            env=environment(world),
            capture_output=True,
            text=True,
            timeout=CALL_SECONDS,
        )
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert list(lines) == ["InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync"]
    assert lines["InvokeEndpoint"] == lines["InvokeEndpointWithResponseStream"] == "hello from Rust"
    assert "s3://" in lines["InvokeEndpointAsync"]
    assert [invocation["operation"] for invocation in seen.invocations] == list(lines)
