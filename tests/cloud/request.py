"""One HTTP request, read whole once, so that it can be recorded, answered here or handed on to ministack."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote

from ministack import app as ministack
from ministack.core import iam_evaluator, responses

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")


class ClientGone(Exception):
    """The client closed the connection before its body was complete."""


@dataclass(frozen=True)
class Response:
    """An answer of the wrapper itself."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    async def send(self, send: Send) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


@dataclass(frozen=True)
class StreamedResponse:
    """An answer of the wrapper itself whose body is sent as it comes."""

    status: int
    pieces: AsyncIterator[bytes]
    headers: tuple[tuple[str, str], ...] = ()

    async def send(self, send: Send) -> None:
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        async for piece in self.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    raw_path: str
    query: dict[str, list[str]]
    raw_headers: list[tuple[bytes, bytes]]
    body: bytes
    # What the Authorization header claims; empty for an unsigned request. Nothing here is verified yet.
    access_key: str
    region: str
    service: str
    caller: str

    @classmethod
    async def read(cls, scope: Scope, receive: Receive) -> "Request":
        chunks = []
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise ClientGone
            chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                break
        raw_headers = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
        authorization = next((v.decode("latin-1") for n, v in raw_headers if n.lower() == b"authorization"), "")
        claim = _CREDENTIAL.search(authorization)
        access_key, region, service = claim.groups() if claim else ("", "", "")
        return cls(
            method=scope["method"],
            path=scope["path"],
            raw_path=(scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1"),
            query=parse_qs(scope.get("query_string", b"").decode(), keep_blank_values=True),
            raw_headers=raw_headers,
            body=b"".join(chunks),
            access_key=access_key,
            region=region,
            service=service,
            caller=_claimed_caller(access_key),
        )

    @property
    def headers(self) -> dict[str, str]:
        """Lower-cased names; lines of one name joined by a comma, as ministack reads them."""
        joined: dict[str, str] = {}
        for name, value in self.raw_headers:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            joined[key] = f"{joined[key]}, {text}" if key in joined else text
        return joined

    def replay(self, receive: Receive) -> Receive:
        """A receive channel that delivers the body again, then whatever comes next from the client."""
        delivered = False

        async def again() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": self.body, "more_body": False}

        return again


def _claimed_caller(access_key: str) -> str:
    """The ARN that the access key belongs to, and the account scope of the rest of this request."""
    if not access_key:
        return ""
    try:
        responses.set_request_account_id(ministack._request_account_scope(access_key))
    except iam_evaluator.AmbiguousAccessKeyError:
        return ""
    identity = iam_evaluator.resolve_caller_identity(access_key)
    return identity["userArn"] if identity else ""
