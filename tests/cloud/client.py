"""The Python face of the local cloud: sessions for its accounts, and what control.py offers."""

import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import boto3

from tests.cloud.endpoints import REGION, Endpoint, Fault

_API_URL = re.compile(r"https://([a-z0-9]+)\.execute-api\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([^/]+)/?")


@dataclass
class Seen:
    """What happened in a `with cloud.recording()` block; complete when the block ends."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    invocations: list[dict[str, Any]] = field(default_factory=list)

    def of(self, service: str, action: str | None = None) -> list[dict[str, Any]]:
        return [c for c in self.calls if c["service"] == service and action in (None, c["action"])]

    @property
    def assumed(self) -> list[dict[str, Any]]:
        """Every AssumeRole: params has RoleSessionName, ExternalId, Policy, …; status says how it ended."""
        return self.of("sts", "AssumeRole")


@dataclass(frozen=True)
class Cloud:
    url: str
    region: str = REGION

    def admin(self, account: str) -> "Caller":
        """The root user of an account."""
        return Caller(self, account, "any")

    def local_url(self, api_url: str) -> str:
        """Where the API with this (real) URL answers in the local cloud."""
        api = _API_URL.fullmatch(api_url)
        if api is None:
            raise ValueError(f"{api_url} is not the URL of a REST API's stage")
        return f"{self.url}/_aws/execute-api/{api[1]}/{api[3]}"

    @contextmanager
    def recording(self) -> Iterator[Seen]:
        """Collect the calls and the model invocations made while the block runs."""
        seen = Seen()
        start = self._get("record/last")
        try:
            yield seen
        finally:
            record = self._get(f"record/after/{start}")
            seen.calls, seen.invocations = record["calls"], record["invocations"]

    def logs(self, account: str, function: str) -> str:
        """All that the function printed so far."""
        with urllib.request.urlopen(f"{self.url}/_cloud/logs/{account}/{quote(function)}") as answer:
            return answer.read().decode("utf-8", "replace")

    def endpoints(self) -> list[Endpoint]:
        return [Endpoint.of(described) for described in self._get("endpoints")]

    @contextmanager
    def altered(self, name: str, **changes: Any) -> Iterator[None]:
        """An endpoint that is set up otherwise while the block runs."""
        normal = next(endpoint for endpoint in self.endpoints() if endpoint.name == name)
        self.put_endpoint(replace(normal, **changes))
        try:
            yield
        finally:
            self.put_endpoint(normal)

    @contextmanager
    def sts_failing(self, fault: Fault) -> Iterator[None]:
        """Every AssumeRole is answered with this error while the block runs."""
        self._put("sts-fault", asdict(fault))
        try:
            yield
        finally:
            self._put("sts-fault", None)

    def put_endpoint(self, endpoint: Endpoint) -> None:
        self._put("endpoints", asdict(endpoint))

    def _put(self, path: str, value: Any) -> None:
        request = urllib.request.Request(f"{self.url}/_cloud/{path}", json.dumps(value).encode(), method="PUT")
        urllib.request.urlopen(request).close()

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/_cloud/{path}") as answer:
            return json.load(answer)


@dataclass(frozen=True)
class Caller:
    """Somebody with access keys: boto3 clients that act as them."""

    cloud: Cloud
    access_key: str
    secret_key: str
    session_token: str | None = None

    @property
    def session(self) -> boto3.Session:
        return _session(self.access_key, self.secret_key, self.session_token, self.cloud.region)

    def client(self, service: str, **options: Any) -> Any:
        return self.session.client(service, **{"endpoint_url": self.cloud.url, **options})

    def api(self, api_url: str) -> Any:
        """A stock sagemaker-runtime client that calls the API instead of SageMaker."""
        client = self.client("sagemaker-runtime", endpoint_url=self.cloud.local_url(api_url))
        client.meta.events.register("before-sign.sagemaker-runtime", sign_for_api_gateway)
        return client

    def assume(self, role: str, **params: Any) -> "Caller":
        """The recipe's first half: temporary credentials of the role."""
        keys = self.client("sts").assume_role(RoleArn=role, **params)["Credentials"]
        return Caller(self.cloud, keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


@lru_cache
def _session(access_key: str, secret_key: str, session_token: str | None, region: str) -> boto3.Session:
    """One per caller: a session reads the service descriptions once, and that is most of what a client costs."""
    return boto3.Session(access_key, secret_key, session_token, region_name=region)


def session_tags(call: dict[str, Any]) -> dict[str, str]:
    """The session tags of a recorded AssumeRole, which the query protocol numbers."""
    params = call["params"]
    numbers = sorted({name.split(".")[2] for name in params if name.startswith("Tags.")})
    return {params[f"Tags.member.{n}.Key"]: params[f"Tags.member.{n}.Value"] for n in numbers}


def sign_for_api_gateway(request: Any, **_: Any) -> None:
    """API Gateway accepts only signatures for execute-api; a sagemaker-runtime client signs for sagemaker."""
    request.context["signing"] = {**request.context.get("signing", {}), "signing_name": "execute-api"}
