"""The container contract of SageMaker hosting, once for every model server here.

A server binds a free port on loopback, prints it as its only line of output when it is ready, and lives until its
standard input closes: a model server never outlives the cloud that started it, however that one ends.
"""

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """What a model answers to one invocation."""

    body: bytes
    content_type: str = "application/octet-stream"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Model = Callable[[bytes, Message], Answer]


def refuse(status: int, reason: str) -> Answer:
    """An answer that SageMaker turns into a ModelError."""
    return Answer(reason.encode(), "text/plain", status)


def serve(model: Model) -> None:
    """Serve one model until standard input closes."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(model))
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    server.shutdown()


def _handler(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(Answer(b"", status=200 if self.path == "/ping" else 404))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._send(model(body, self.headers) if self.path == "/invocations" else refuse(404, "no such path"))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Content-Type", answer.content_type)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """The cloud records each invocation itself."""

    return Handler
