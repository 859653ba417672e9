"""Programs of the workspace that are no part of what is shipped, built when they are needed."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parent.parent


def build(name: str, *options: str, env: Mapping[str, str] = MappingProxyType({})) -> Path:
    """The executable. With `--workspace`, so that dependencies are those of the tests and are not built again."""
    command = ("cargo", "build", "--workspace", "--locked", "--bin", name, *options)
    built = subprocess.run(
        (*command, "--message-format", "json-render-diagnostics"),
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    executables = [json.loads(line).get("executable") for line in built.stdout.splitlines()]
    return Path(next(path for path in executables if path))
