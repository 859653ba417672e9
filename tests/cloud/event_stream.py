"""application/vnd.amazon.eventstream: the frames of a streamed answer.

A frame is its length and that of its headers, a checksum of both, headers, payload, and a checksum of it all (Smithy
specification, "Amazon Event Stream"). botocore reads frames and writes none.
"""

import json
import struct
from collections.abc import Mapping
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7


def payload_part(data: bytes) -> bytes:
    """One part of the model's answer."""
    kind = {":message-type": "event", ":event-type": "PayloadPart", ":content-type": "application/octet-stream"}
    return _frame(kind, data)


def exception(code: str, members: Mapping[str, object]) -> bytes:
    """An error in mid-stream; nothing follows it."""
    kind = {":message-type": "exception", ":exception-type": code, ":content-type": "application/json"}
    return _frame(kind, json.dumps(members).encode())


def _frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    written = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    # Two lengths and a checksum before, a checksum after.
    lengths = struct.pack("!II", 12 + len(written) + len(payload) + 4, len(written))
    begun = lengths + struct.pack("!I", crc32(lengths)) + written + payload
    return begun + struct.pack("!I", crc32(begun))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack("!B", len(name)) + name + struct.pack("!BH", _STRING, len(value)) + value
