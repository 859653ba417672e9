"""The model servers: one process each, asked over HTTP as SageMaker asks a container."""

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

NAMES = ("iris", "echo", "words")
# SageMaker gives a container 60 seconds.
TIMEOUT_SECONDS = 60


# The largest piece that is read at once.
PIECE = 64 * 1024


class NoAnswer(Exception):
    """The container did not answer in time, or closed the connection."""


@dataclass(frozen=True)
class ContainerAnswer:
    """Status and headers; the body still comes, from blocking reads."""

    status: int
    headers: http.client.HTTPMessage
    pieces: Iterator[bytes]

    def body(self) -> bytes:
        return b"".join(self.pieces)


class Containers:
    """All of them. They start side by side: importing scikit-learn takes a while."""

    def __init__(self, logs: Path) -> None:
        self._processes = {name: _start(name, logs) for name in NAMES}
        self._ports: dict[str, int] = {}

    def await_ready(self) -> None:
        """A container says its port when it has loaded its model, and is in service once it answers a ping."""
        for name, process in self._processes.items():
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                raise RuntimeError(f"the container {name} ended before it was ready, see container-{name}.log")
            self._ports[name] = int(line)
            ping = _ask(self._ports[name], "GET", "/ping", {}, b"")
            ping.body()
            status = ping.status
            if status != 200:
                raise RuntimeError(f"the container {name} answers {status} to GET /ping")

    def invoke(self, name: str, headers: dict[str, str], body: bytes) -> ContainerAnswer:
        return _ask(self._ports[name], "POST", "/invocations", headers, body)

    def stop(self) -> None:
        """Close their standard inputs, which ends them, and reap them."""
        for process in self._processes.values():
            if process.stdin:
                process.stdin.close()
        for process in self._processes.values():
            process.wait()


def _start(name: str, logs: Path) -> subprocess.Popen[bytes]:
    with (logs / f"container-{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"tests.cloud.models.{name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        )


def _ask(port: int, method: str, path: str, headers: dict[str, str], body: bytes) -> ContainerAnswer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value.encode("latin-1"))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise NoAnswer(str(error)) from error
    return ContainerAnswer(response.status, response.headers, _pieces(connection, response))


def _pieces(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Iterator[bytes]:
    """What the container sends, as it comes: no piece spans two of its chunks."""
    with closing(connection):
        try:
            while piece := response.read1(PIECE):
                yield piece
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(str(error)) from error
