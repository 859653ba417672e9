"""A downloaded release: the template and the zips side by side, no source, deployed with the AWS CLI.

`sam deploy` of the same files is what tests/e2e/test_upgrade.py does.
"""

import subprocess
from pathlib import Path

import pytest

from release import package, version
from tests import deploy
from tests.cloud.client import Cloud
from tests.deploy import TOOLS
from tests.holdings import holdings

PARENT, CHILD = "292929292929", "303030303030"
STACK = "downloaded"


@pytest.fixture
def downloaded(tmp_path: Path) -> Path:
    package.package("x86_64", tmp_path / "downloaded")
    return tmp_path / "downloaded"


def test_a_downloaded_release_is_deployed_with_the_aws_cli(cloud: Cloud, downloaded: Path, tmp_path: Path):
    cloud.admin(PARENT).client("s3").create_bucket(Bucket="releases")

    def aws(*command: str) -> None:
        done = subprocess.run(
            [TOOLS / "aws", "cloudformation", *command],
            cwd=downloaded,
            env=deploy.shell(cloud, PARENT),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{deploy.explain(cloud, PARENT, STACK)}"

    uploaded = str(tmp_path / "uploaded.yaml")
    files = ("--template-file", "template-x86_64.yaml", "--s3-bucket", "releases", "--output-template-file", uploaded)
    aws("package", *files)
    written = Path(uploaded).read_text()
    # Code, licence and readme: all that the template names lies in the bucket now, which `sam publish` asks for, too.
    assert written.count("s3://releases/") == 4
    given = ("EndpointNames=iris", f"TrustedAccountIds={CHILD}", "Side=Parent")
    with cloud.recording() as seen:
        aws(
            *("deploy", "--template-file", uploaded, "--stack-name", STACK, "--capabilities", "CAPABILITY_IAM"),
            # The template is larger than CloudFormation takes directly (51,200 bytes).
            *("--s3-bucket", "releases"),
            *("--parameter-overrides", *given),
        )
    found = deploy.outputs(cloud, PARENT, STACK)
    assert found["Version"] == version.of_workspace()
    assert found["RoleArn"] == f"arn:aws:iam::{PARENT}:role/sagemaker-external/SageMakerExternal"

    agents = {call["user_agent"] for call in seen.of("iam") if "ProvisionerRole" in call["caller"]}
    assert agents and all(f" app/sagemaker-external-{version.of_workspace()}" in agent for agent in agents), agents

    deploy.delete(cloud, PARENT, STACK)
    assert holdings(cloud, PARENT) == {}
