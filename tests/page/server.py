"""The page's server: one HTML file and a few questions as JSON, for this machine's own browser and nobody else.

It listens on loopback. A page of another origin can neither read it nor make it act: the Host must be loopback's (so
that no other name leads here), and what acts takes JSON alone, which other origins would have to ask leave for.
"""

import base64
import hashlib
import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError

from tests.page.actions import LARGEST_BODY, Actions

PAGE = Path(__file__).with_name("index.html")
# JSON around a body that is as large as may be, each character escaped.
_LARGEST_REQUEST = 8 * LARGEST_BODY


class Refused(Exception):
    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def make(port: int, actions: Actions) -> ThreadingHTTPServer:
    """A server on loopback; port 0 takes a free one."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(actions))
    server.daemon_threads = True
    return server


def policy(page: str) -> str:
    """A Content-Security-Policy that lets the page's own script and style run, and nothing else."""

    def hashes(tag: str) -> str:
        texts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
        return " ".join(f"'sha256-{digest}'" for digest in digests)

    return (
        f"default-src 'none'; script-src {hashes('script')}; style-src {hashes('style')}; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _handler(actions: Actions) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # Answers end with their connection, so that a stream needs no framing.
        protocol_version = "HTTP/1.0"

        def do_GET(self) -> None:
            self._answer(self._get)

        def do_POST(self) -> None:
            self._answer(self._post)

        def _answer(self, method: Any) -> None:
            try:
                port = self.server.server_address[1]
                if self.headers.get("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
                    raise Refused(421, "this page is for this machine alone: open it by 127.0.0.1")
                method()
            except Refused as refused:
                self._json({"message": str(refused)}, refused.status)
            except (BrokenPipeError, ConnectionResetError):
                pass
            except (OSError, BotoCoreError):
                self._json({"message": "the local cloud does not answer: `make down`, then `make up`"}, 502)

        def _get(self) -> None:
            match self.path:
                case "/":
                    page = PAGE.read_text()
                    self._send(200, "text/html; charset=utf-8", page.encode(), policy(page))
                case "/api/status":
                    self._json({"pid": os.getpid()})
                case "/api/world":
                    self._json(actions.world())
                case _:
                    raise Refused(404, "no such page")

        def _post(self) -> None:
            text = self._text()
            match self.path.removeprefix("/api/").split("/"):
                case ["invoke"]:
                    self._json(actions.invoke(text))
                case ["stream"]:
                    self._head(200, "application/jsonlines")
                    for message in actions.stream(text):
                        self.wfile.write(json.dumps(message).encode() + b"\n")
                        self.wfile.flush()
                case ["refusals", case] if case in actions.refusals:
                    self._json(actions.refuse(case))
                case _:
                    raise Refused(404, "no such action")

        def _text(self) -> str:
            """The text that the page sends, as {"text": ...}."""
            if self.headers.get("Content-Type") != "application/json":
                raise Refused(415, "send application/json")
            length = int(self.headers.get("Content-Length") or 0)
            if length > _LARGEST_REQUEST:
                raise Refused(413, f"that is too long: at most {LARGEST_BODY} characters")
            try:
                text = json.loads(self.rfile.read(length)).get("text", "")
            except (ValueError, AttributeError):
                raise Refused(400, 'send {"text": "..."}') from None
            if not isinstance(text, str) or len(text.encode()) > LARGEST_BODY:
                raise Refused(413, f"that is too long: at most {LARGEST_BODY} bytes of text")
            return text

        def _json(self, value: object, status: int = 200) -> None:
            self._send(status, "application/json", json.dumps(value).encode())

        def _send(self, status: int, kind: str, body: bytes, security: str = "default-src 'none'") -> None:
            self._head(status, kind, security, len(body))
            self.wfile.write(body)

        def _head(
            self, status: int, kind: str, security: str = "default-src 'none'", length: int | None = None
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.send_header("Content-Security-Policy", security)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """The cloud records what the page does."""

    return Handler
