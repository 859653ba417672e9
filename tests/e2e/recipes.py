"""Code blocks of the documentation, and the shell of somebody who pastes them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import ROOT
from tests.e2e.world import World

TOOLS = Path(sys.executable).parent
# The slowest clients take seconds to start on a busy machine.
CALL_SECONDS, INSTALL_SECONDS, BUILD_SECONDS = 60, 600, 900


def recipes(heading: str, language: str = "", page: str = "calling.md") -> list[str]:
    """The blocks of one language below a heading of a page."""
    parts = (ROOT / "docs" / page).read_text().split("\n#")
    (section,) = [part for part in parts if part.lstrip("#").strip().startswith(f"{heading}\n")]
    blocks = (block.partition("\n") for block in section.split("```")[1::2])
    return [code for named, _, code in blocks if named == language]


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


def run(*command: str | Path, world: World, text: str | None = None, **variables: str) -> str:
    """What the command prints, which must succeed; `text` is its standard input."""
    done = subprocess.run(
        command,
        input=text,
        env={**environment(world), **variables},
        capture_output=True,
        text=True,
        timeout=CALL_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def make(target: str) -> None:
    """As `make` does it for whoever runs the tests from there; takes a moment when a lock file has changed."""
    made = subprocess.run(
        ["make", "--silent", target], cwd=ROOT, capture_output=True, text=True, timeout=INSTALL_SECONDS
    )
    assert made.returncode == 0, made.stdout + made.stderr


def rust_sdk() -> Path:
    """functions/invoker/examples/rust_sdk.rs as a program; `cargo test` has built it before."""
    build = ["cargo", "build", "--workspace", "--examples", "--locked"]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=BUILD_SECONDS)
    return ROOT / "target" / "debug" / "examples" / "rust_sdk"


def javascript_sdk() -> Path:
    """The folder beside AWS's SDK for JavaScript, for programs that import it."""
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("npm is not on this machine: the JavaScript SDK is left out")
    make("target/javascript/.ready")
    return ROOT / "target" / "javascript"
