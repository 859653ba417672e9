"""Every secret that this cloud hands out or is given, for a search through what the functions print and answer.

One line of JSON each in `canaries.jsonl`, and every answer of an API in `answers.bin`: tests/leaks.py reads both.
"""

import base64
import json
import re
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from tests.cloud.calls import FORM
from tests.cloud.request import Message, Request, Send

FILE = "canaries.jsonl"
ANSWERS = "answers.bin"
# A cloud that is left running for long notes no more than this; a test session that comes to it fails.
MOST = 100_000
# Of a body: its beginning, which a log would show first.
KEPT_BODY = 96
# Of each piece of an answer: whole errors, and enough of what a model says.
KEPT_ANSWER = 4 * 1024
_ACCOUNT = re.compile(r"\d{12}")
_SECRET_KEY = re.compile(rb"<SecretAccessKey>([^<]+)</SecretAccessKey>")
_SENSITIVE = ("x-amzn-sagemaker-custom-attributes", "x-amz-security-token")


class Canaries:
    def __init__(self, directory: Path) -> None:
        self._file = directory / FILE
        self._answers = directory / ANSWERS
        self._lock = threading.Lock()
        self._seen: set[tuple[str, bytes]] = set()
        for stale in (self._file, self._answers):
            stale.unlink(missing_ok=True)

    def note(self, kind: str, value: str | bytes) -> None:
        value = value.encode() if isinstance(value, str) else value
        with self._lock:
            if not value or (kind, value) in self._seen or len(self._seen) >= MOST:
                return
            self._seen.add((kind, value))
            with self._file.open("a") as file:
                file.write(json.dumps({"kind": kind, "value": base64.b64encode(value).decode()}) + "\n")

    def of_request(self, request: Request) -> None:
        headers = request.headers
        for name in _SENSITIVE:
            self.note(name, headers.get(name, ""))
        if _is_api(request):
            self.note("authorization", headers.get("authorization", "").rpartition("Signature=")[2])
        if request.access_key.startswith("ASIA"):
            self.note("access key", request.access_key)
        if request.path.startswith("/endpoints/"):
            self.note("body", request.body[:KEPT_BODY])
        if headers.get("content-type", "").startswith(FORM) and request.service == "sts":
            form = parse_qs(request.body.decode("utf-8", "replace"))
            external_id, session, role = (form.get(k, [""])[-1] for k in ("ExternalId", "RoleSessionName", "RoleArn"))
            # The doctor also tries one that nobody can have allowed: the id of its own request.
            if external_id not in session:
                self._external_id(external_id)
            self.note("role ARN", role)

    def of_environment(self, variables: dict[str, str]) -> None:
        """A function's own credentials."""
        for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            self.note(name, variables.get(name, ""))

    def of_event(self, event: Any) -> None:
        """What a custom resource is given."""
        if isinstance(event, dict) and "ResponseURL" in event:
            self.note("ResponseURL", event["ResponseURL"].rpartition("/")[2])
            for properties in (event.get("ResourceProperties"), event.get("OldResourceProperties")):
                self._external_id(str((properties or {}).get("ExternalId") or ""))

    def watching(self, request: Request, send: Send) -> Send:
        """The response channel: STS's answers hold secret keys, and an API's answers may hold none."""
        is_api = _is_api(request)
        if not is_api and request.service != "sts":
            return send

        async def watched(message: Message) -> None:
            body = message.get("body", b"")
            if request.service == "sts":
                for key in _SECRET_KEY.findall(body):
                    self.note("secret key", key)
            if is_api:
                headers = [b": ".join(header) for header in message.get("headers", [])]
                with self._lock, self._answers.open("ab") as file:
                    file.write(b"\n".join([*headers, bytes(body[:KEPT_ANSWER]), b""]))
            await send(message)

        return watched

    def _external_id(self, value: str) -> None:
        # As in the recipe it is the account's id, which every ARN holds.
        if not _ACCOUNT.fullmatch(value):
            self.note("ExternalId", value)


def _is_api(request: Request) -> bool:
    return "execute-api" in request.path or "execute-api" in request.headers.get("host", "")
