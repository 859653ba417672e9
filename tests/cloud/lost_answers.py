"""Answers that SageMaker's front end loses after the container has given them, or after a job is in the queue.

The model has run or will, and nothing in what the caller gets says so. Only faults of that kind are here; errors that
SageMaker answers instead of asking the container are `Fault` (endpoints.py).
"""

import asyncio
from dataclasses import dataclass

from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream

from tests.cloud.endpoints import LostAnswer
from tests.cloud.request import Message, Response, Send

# No message of ASGI ends a connection before the answer: hypercorn is taught this one.
_RESET = "cloud.connection.reset"


@dataclass(frozen=True)
class LostResponse:
    """Sends what comes instead."""

    lost: LostAnswer

    async def send(self, send: Send) -> None:
        await asyncio.sleep(self.lost.after_seconds)
        body = self.lost.body.encode()
        if self.lost.status is None:
            await send({"type": _RESET})
        elif self.lost.is_cut:
            headers = [(b"content-type", self.lost.content_type.encode()), (b"content-length", b"%d" % (len(body) + 1))]
            await send({"type": "http.response.start", "status": self.lost.status, "headers": headers})
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": _RESET})
        else:
            await Response(self.lost.status, body, (("Content-Type", self.lost.content_type),)).send(send)


class Lost(Exception):
    """The container has answered, and this is sent instead."""

    def __init__(self, lost: LostAnswer) -> None:
        super().__init__(lost)
        self.response = LostResponse(lost)


def install() -> None:
    """Let the server end connections without an answer, or in its midst."""
    original = HTTPStream.app_send

    async def app_send(stream: HTTPStream, message: Message | None) -> None:
        if message is None or message["type"] != _RESET:
            await original(stream, message)  # type: ignore[arg-type]
            return
        stream.state = ASGIHTTPState.CLOSED
        # The response is not whole, so the connection cannot serve another request and is closed.
        await stream.send(StreamClosed(stream_id=stream.stream_id))

    HTTPStream.app_send = app_send  # type: ignore[method-assign,assignment]
