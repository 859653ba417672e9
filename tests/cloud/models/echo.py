"""A diagnostic container: answers the bytes it was sent, or what it was told to.

`Accept: application/x-request` asks for a description of the request instead of its body. The words below, in
X-Amzn-SageMaker-Custom-Attributes or X-Amzn-SageMaker-Target-Model, change the answer:

    status=503          answer with that status, the body being the message
    close-session       close the session that the request names
    lines               answer in parts, one for each line of the body
    cut                 with lines: break the answer off after the last part
    hold=NAME           with lines: send the first part, and the others when another request says release=NAME
    release=NAME
"""

import hashlib
import json
import re
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from email.message import Message

from tests.cloud.models.container import Answer, Cut, serve

DESCRIBE = "application/x-request"
_STATUS = re.compile(r"status=(\d{3})\b")
_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_SESSION = "X-Amzn-SageMaker-Session-Id"
_HOLD = re.compile(r"\b(hold|release)=([\w-]+)")
# Past this nobody releases it any more, and the answer is broken off.
_HOLD_SECONDS = 60

_gates: defaultdict[str, threading.Event] = defaultdict(threading.Event)


def echo(body: bytes, headers: Message) -> Answer:
    """Answer one invocation."""
    told = f"{headers.get(_ATTRIBUTES, '')} {headers.get('X-Amzn-SageMaker-Target-Model', '')}"
    if failure := _STATUS.search(told):
        return Answer(body or b"told to fail", "text/plain", int(failure[1]))
    answered = {}
    if _ATTRIBUTES in headers:
        answered[_ATTRIBUTES] = headers[_ATTRIBUTES]
    if headers.get(_SESSION) == "NEW_SESSION":
        answered["X-Amzn-SageMaker-New-Session-Id"] = f"{uuid.uuid4()}; Expires=2099-01-01T00:00:00Z"
    elif "close-session" in told and _SESSION in headers:
        answered["X-Amzn-SageMaker-Closed-Session-Id"] = headers[_SESSION]
    if headers.get("Accept") == DESCRIBE:
        described = {"headers": dict(headers.items()), "length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        return Answer(json.dumps(described).encode(), DESCRIBE, headers=answered)
    held = _HOLD.search(told)
    gate = _gates[held[2]] if held else None
    if gate and held[1] == "release":
        gate.set()
    answer = _lines(body, gate, "cut" in told) if "lines" in told else body
    return Answer(answer, headers.get("Content-Type", "application/octet-stream"), headers=answered)


def _lines(body: bytes, gate: threading.Event | None, cut: bool) -> Iterator[bytes]:
    for number, line in enumerate(body.splitlines(keepends=True)):
        if gate and number == 1 and not gate.wait(_HOLD_SECONDS):
            raise Cut
        yield line
    if cut:
        raise Cut


if __name__ == "__main__":
    serve(echo)
