"""Which endpoints exist: (account, region, name) → a container and how the endpoint is set up."""

import threading
from dataclasses import dataclass

PARENT = "111122223333"
CHILD = "444455556666"
REGION = "us-east-1"


@dataclass(frozen=True)
class Endpoint:
    account: str
    region: str
    name: str
    container: str
    variants: tuple[str, ...] = ("AllTraffic",)
    components: tuple[str, ...] = ()
    # The name of an error that SageMaker itself answers instead of asking the container, such as
    # ModelNotReadyException; None: the endpoint is in service.
    fault: str | None = None

    @property
    def arn(self) -> str:
        return f"arn:aws:sagemaker:{self.region}:{self.account}:endpoint/{self.name}"


DEFAULTS = (
    Endpoint(PARENT, REGION, "iris", "iris"),
    Endpoint(PARENT, REGION, "echo", "echo", variants=("AllTraffic", "Canary"), components=("adapter-a",)),
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
