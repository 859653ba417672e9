"""Which endpoints exist: (account, region, name) → a container and how the endpoint is set up."""

import threading
from dataclasses import dataclass, field
from typing import Any

PARENT = "111122223333"
CHILD = "444455556666"
REGION = "us-east-1"


@dataclass(frozen=True)
class Fault:
    """An error with which SageMaker itself answers, instead of asking the container or in the midst of its answer."""

    code: str
    # None: the error comes as a frame of the stream, after the container's parts.
    status: int | None
    members: dict[str, Any]


@dataclass(frozen=True)
class LostAnswer:
    """What SageMaker's front end sends in the place of an answer that the container has given: the model has run."""

    # None: the connection ends without an answer.
    status: int | None
    content_type: str = "text/html"
    body: str = ""
    # The connection ends before the body does.
    is_cut: bool = False
    # How long nothing comes at all.
    after_seconds: float = 0.0
    # None: of every operation.
    operation: str | None = None

    def is_of(self, operation: str) -> bool:
        return self.operation in (None, operation)


@dataclass(frozen=True)
class Endpoint:
    account: str
    region: str
    name: str
    container: str
    # Either list may be ("*",): there is whatever a request names.
    variants: tuple[str, ...] = ("AllTraffic",)
    components: tuple[str, ...] = ()
    # None: the endpoint is in service.
    fault: Fault | None = None
    lost: LostAnswer | None = None
    # What SageMaker's successful answers have besides: headers, and members in the JSON of a 202.
    headers: dict[str, str] = field(default_factory=dict)
    members: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def has(name: str, names: tuple[str, ...]) -> bool:
        return name in names or names == ("*",)

    @classmethod
    def of(cls, described: dict[str, Any]) -> "Endpoint":
        """From JSON."""
        fault = described["fault"] and Fault(**described["fault"])
        lists = {name: tuple(described[name]) for name in ("variants", "components")}
        lost = described["lost"] and LostAnswer(**described["lost"])
        return cls(**{**described, **lists, "fault": fault, "lost": lost})

    @property
    def arn(self) -> str:
        return f"arn:aws:sagemaker:{self.region}:{self.account}:endpoint/{self.name}"


DEFAULTS = (
    Endpoint(PARENT, REGION, "iris", "iris"),
    Endpoint(PARENT, REGION, "echo", "echo", variants=("AllTraffic", "Canary"), components=("adapter-a",)),
    Endpoint(PARENT, REGION, "words", "words"),
    # Never granted by the demo: what calls to it must be refused.
    Endpoint(PARENT, REGION, "churn", "echo"),
)


class Endpoints:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_key = {(e.account, e.region, e.name): e for e in DEFAULTS}

    def put(self, endpoint: Endpoint) -> None:
        with self._lock:
            self._by_key[endpoint.account, endpoint.region, endpoint.name] = endpoint

    def find(self, account: str, region: str, name: str) -> Endpoint | None:
        with self._lock:
            return self._by_key.get((account, region, name))

    def all(self) -> list[Endpoint]:
        with self._lock:
            return list(self._by_key.values())
