"""The container contract of SageMaker hosting, once for every model server here.

A server binds a free port on loopback, prints it as its only line of output when it is ready, and lives until its
standard input closes: a model server never outlives the cloud that started it, however that one ends.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """What a model answers to one invocation."""

    # Or parts, each sent when it comes, as one chunk. Where they end in Cut, so does the connection.
    body: bytes | Iterator[bytes]
    content_type: str = "application/octet-stream"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Cut(Exception):
    """The model breaks its answer off."""


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
            parts = None if isinstance(answer.body, bytes) else answer.body
            self.send_response(answer.status)
            if parts is None:
                self.send_header("Content-Length", str(len(answer.body)))
            else:
                self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Content-Type", answer.content_type)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if parts is None:
                self.wfile.write(answer.body)
            else:
                self._send_parts(parts)

        def _send_parts(self, parts: Iterator[bytes]) -> None:
            try:
                for part in filter(None, parts):
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            except Cut:
                self.close_connection = True
                return
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, *_: object) -> None:
            """The cloud records each invocation itself."""

    return Handler
