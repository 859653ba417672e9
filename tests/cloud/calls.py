"""The record of what was asked of this cloud: AWS calls, and the requests that reached a model.

Tests read it to show which calls were made with which parameters and, as important, which were not made.
"""

import base64
import hashlib
import threading
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.cloud.request import Request

FORM = "application/x-www-form-urlencoded"
# Bodies are kept whole up to this size; larger ones only as length and digest.
KEPT_BODY = 4 * 1024
# A cloud that is left running for long, or measured, forgets the oldest entries.
KEPT_ENTRIES = 20_000


@dataclass
class Call:
    """One signed or unsigned request to an AWS API, as its Authorization header claims it."""

    seq: int
    service: str
    action: str
    method: str
    path: str
    region: str
    caller: str
    access_key: str
    user_agent: str
    # The form of a query-protocol call (IAM, STS, CloudFormation): RoleSessionName, ExternalId, Policy, …
    params: dict[str, str]
    # When it came, in seconds of the epoch, and how long until its answer had gone out whole.
    started: float
    status: int | None = None
    seconds: float | None = None


@dataclass
class Invocation:
    """One request that the local SageMaker Runtime accepted: for a container, or for its queue."""

    seq: int
    operation: str
    account: str
    region: str
    endpoint: str
    variant: str
    caller: str
    path: str
    # As they came, names in lower case; but nothing of the signature.
    received: dict[str, str]
    # What the container is given of them.
    headers: dict[str, str]
    length: int
    sha256: str
    body: str | None = field(repr=False, default=None)
    status: int | None = None


class Record:
    """Append-only; one counter over both lists keeps their order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=KEPT_ENTRIES)
        self._invocations: deque[Invocation] = deque(maxlen=KEPT_ENTRIES)
        self._last = 0

    def call(self, request: Request) -> Call:
        headers = request.headers
        form: dict[str, str] = {}
        if headers.get("content-type", "").startswith(FORM):
            form = {name: values[-1] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        action = form.get("Action") or headers.get("x-amz-target", "").rpartition(".")[2]
        with self._lock:
            made = Call(
                self._number(),
                request.service,
                action,
                request.method,
                request.path,
                request.region,
                request.caller,
                request.access_key,
                headers.get("user-agent", ""),
                form,
                time.time(),
            )
            self._calls.append(made)
        return made

    def invocation(self, **what: Any) -> Invocation:
        """Everything but what follows from the body, which is one of the arguments."""
        body: bytes = what.pop("body")
        kept = base64.b64encode(body).decode() if len(body) <= KEPT_BODY else None
        digest = hashlib.sha256(body).hexdigest()
        with self._lock:
            made = Invocation(seq=self._number(), length=len(body), sha256=digest, body=kept, **what)
            self._invocations.append(made)
        return made

    @property
    def last(self) -> int:
        """The number of the newest entry: what comes after it is what happens from now on."""
        with self._lock:
            return self._last

    def since(self, seq: int) -> dict[str, Any]:
        """Everything after number `seq`."""
        with self._lock:
            calls = [asdict(call) for call in self._calls if call.seq > seq]
            invocations = [asdict(invocation) for invocation in self._invocations if invocation.seq > seq]
        return {"calls": calls, "invocations": invocations}

    def _number(self) -> int:
        self._last += 1
        return self._last
