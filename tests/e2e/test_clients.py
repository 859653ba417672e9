"""Other clients than boto3, as people run them: a smoke of the AWS CLI and of the Rust SDK; conformance is boto3's.

The CLI has no InvokeEndpointWithResponseStream: it cannot print an event stream, and version 1 takes the command out of
sagemaker-runtime for that (its customizations/removals.py).
"""

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests import iris
from tests.e2e.recipes import CALL_SECONDS, environment, recipes, rust_sdk
from tests.e2e.world import World

Run = Callable[..., subprocess.CompletedProcess[str]]


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
    taught = run(recipes("AWS CLI")[0].partition("\n\n")[0])
    assert taught.returncode == 0, taught.stderr
    return run


def test_the_documented_line_for_the_cli_works(aws: Run):
    done = aws(recipes("AWS CLI")[0].partition("\n\n")[2])
    assert done.returncode == 0, done.stderr
    # The answer's body goes to the file that the line names, standard output; the CLI adds the other members.
    assert done.stdout.splitlines()[: len(iris.LABELS)] == iris.LABELS


def test_the_documented_call_by_curl_works(aws: Run):
    done = aws(recipes("curl")[0])
    assert (done.returncode, done.stdout.strip()) == (0, iris.ROWS[0][1]), done.stderr


def test_the_documented_question_to_the_doctor_is_answered(aws: Run):
    (question,) = [block for block in recipes("Deploy", page="child.md") if "/endpoints/iris" in block]
    done = aws(question)
    assert done.returncode == 0, done.stderr
    assert (report := json.loads(done.stdout))["ExternalIdEnforced"] is True
    assert [finding["Code"] for finding in report["Findings"]] == ["ExternalIdIsAccountId"]


def test_the_documented_call_by_boto3_works(aws: Run):
    done = aws(f"{sys.executable} - <<'PYTHON'\n{recipes('Python', 'python')[0]}PYTHON")
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
    with world.cloud.recording() as seen:
        done = subprocess.run(
            [rust_sdk(), "echo", "hello from Rust"],
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
