"""Start, stop and look at a server of this project as a background process. It is stopped by its own pid only."""

import json
import os
import select
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DIRECTORY = ROOT / "target" / "cloud"
PORT = 4566
# Two Python processes importing scikit-learn and ministack, on a busy machine.
START_SECONDS = 120
STOP_SECONDS = 30


class CloudError(Exception):
    """The server did not start, or did not stop."""


@dataclass(frozen=True)
class Program:
    """A server that is run with `python -m MODULE serve --port P --directory D --ready-fd F`."""

    what: str
    module: str
    # What a GET answers with {"pid": ...}.
    status: str
    # Its files in the directory.
    state: str
    log: str


CLOUD = Program("local cloud", "tests.cloud", "/_cloud/status", "state.json", "cloud.log")


@dataclass(frozen=True)
class Running:
    pid: int
    port: int
    directory: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def alive(self, program: Program) -> bool:
        """Whether the process that answers on the port is this one, not a stranger with its pid or its port."""
        try:
            with urllib.request.urlopen(f"{self.url}{program.status}", timeout=10) as answer:
                return json.load(answer)["pid"] == self.pid
        except (urllib.error.URLError, OSError, ValueError, KeyError):
            return False


def status(directory: Path = DIRECTORY, program: Program = CLOUD) -> Running | None:
    """What was started with this directory, if it still runs."""
    try:
        running = Running(**json.loads((directory / program.state).read_text()))
    except FileNotFoundError:
        return None
    return running if running.alive(program) else None


def start(port: int = PORT, directory: Path = DIRECTORY, program: Program = CLOUD) -> Running:
    """Start the server and wait until it answers; port 0 takes a free one. Its output is in the program's log."""
    if status(directory, program):
        raise CloudError(f"a {program.what} already runs from {directory}, stop it first")
    directory.mkdir(parents=True, exist_ok=True)
    if program is CLOUD:
        for stale in directory.glob("*.log"):
            stale.unlink()
    log = directory / program.log
    reader, writer = os.pipe()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                program.module,
                "serve",
                "--port",
                str(port),
                "--directory",
                str(directory),
                "--ready-fd",
                str(writer),
            ],
            cwd=ROOT,
            pass_fds=[writer],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    os.close(writer)
    with os.fdopen(reader, "rb") as ready:
        readable, _, _ = select.select([ready], [], [], START_SECONDS)
        line = ready.readline() if readable else b""
    if not line:
        process.kill()
        process.wait()
        raise CloudError(f"the {program.what} did not start, the end of {log}:\n{_tail(log)}")
    running = Running(process.pid, int(line), str(directory))
    (directory / program.state).write_text(json.dumps(asdict(running)))
    return running


def stop(directory: Path = DIRECTORY, program: Program = CLOUD) -> bool:
    """Stop the server of this directory and wait for its end; False when none runs."""
    running = status(directory, program)
    (directory / program.state).unlink(missing_ok=True)
    if running is None:
        return False
    # A descriptor of the process, so that its end can be awaited although it may not be our child.
    descriptor = os.pidfd_open(running.pid)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        if not select.select([descriptor], [], [], STOP_SECONDS)[0]:
            raise CloudError(f"the {program.what} (pid {running.pid}) did not end within {STOP_SECONDS} s")
    finally:
        os.close(descriptor)
    return True


def _tail(file: Path, lines: int = 40) -> str:
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])
