"""A function's streamed answer on its way to the caller, piece by piece.

Lambda's side (workers.py) is a thread that reads what the function sends, API Gateway's side (gateway.py) a coroutine
that passes it on. The id of the API's request, which the function's event holds, brings the two together.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

_DELIMITER = b"\0" * 8
# The metadata and the delimiter must lie within the first 16 KB of the stream.
_METADATA_LIMIT = 16 * 1024
_under_way: dict[str, "Stream"] = {}


class Malformed(Exception):
    """The answer does not begin with metadata in JSON and the delimiter."""


class Broken(Exception):
    """The function broke its answer off."""


@dataclass(frozen=True)
class _End:
    broken: bool


class Stream:
    """Pieces put by any thread, taken in the loop that made this."""

    def __init__(self) -> None:
        self.request_id = ""
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[bytes | _End] = asyncio.Queue()

    def put(self, piece: bytes) -> None:
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)

    def end(self, *, broken: bool = False) -> None:
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, _End(broken))

    async def head(self) -> tuple[dict[str, Any], bytes] | None:
        """The metadata, and what of the body came with it; None when the function has sent nothing at all.

        Raises Malformed.
        """
        begun = b""
        while True:
            piece = await self._pieces.get()
            if isinstance(piece, _End):
                if begun:
                    raise Malformed("the streamed answer has no delimiter")
                return None
            begun += piece
            end = begun.find(_DELIMITER, 0, _METADATA_LIMIT)
            if end >= 0:
                return _metadata(begun[:end]), begun[end + len(_DELIMITER) :]
            if len(begun) >= _METADATA_LIMIT:
                raise Malformed("the streamed answer has no delimiter in its first 16 KB")

    async def body(self) -> AsyncIterator[bytes]:
        """The pieces that follow the head, as they come. Raises Broken after the last one of an answer cut short."""
        while not isinstance(piece := await self._pieces.get(), _End):
            yield piece
        if piece.broken:
            raise Broken


def _metadata(text: bytes) -> dict[str, Any]:
    try:
        return json.loads(text)
    except ValueError:
        raise Malformed("the streamed answer does not begin with metadata in JSON") from None


def register(request_id: str, stream: Stream) -> None:
    """From here on, the answer to the API's request with this id goes into the stream."""
    stream.request_id = request_id
    _under_way[request_id] = stream


def of_event(event: Any) -> Stream | None:
    """The stream that the answer to an event belongs to; None when nobody waits for it to stream."""
    context = event.get("requestContext") if isinstance(event, dict) else None
    return _under_way.get(context.get("requestId", "")) if isinstance(context, dict) else None


def forget(stream: Stream) -> None:
    _under_way.pop(stream.request_id, None)
