"""The search for secrets through all that the functions printed and answered in a session of the local cloud.

S15, C31. The Rust tests search their own output in the same way (tests/captured). What is searched for is what the
cloud noted: see tests/cloud/canaries.py.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.cloud.canaries import ANSWERS, FILE

# The functions of the template.
OURS = ("ProvisionerFunction", "InvokerFunction")
# What is shorter may stand anywhere by accident.
SHORTEST = 10
# A log may hold none of these; and the invoker's not the parent's role either, which the provisioner has made.
IN_NO_LOG = frozenset(
    {
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "ExternalId",
        "ResponseURL",
        "access key",
        "authorization",
        "body",
        "secret key",
        "x-amz-security-token",
        "x-amzn-sagemaker-custom-attributes",
    }
)
IN_NO_LOG_OF_THE_INVOKER = IN_NO_LOG | {"role ARN"}
# Bodies and attributes are the caller's own, or the model's for the caller; the rest is in no answer.
IN_NO_ANSWER = IN_NO_LOG_OF_THE_INVOKER - {"body", "x-amzn-sagemaker-custom-attributes"}


@dataclass(frozen=True)
class Leak:
    file: str
    kind: str
    form: str

    def __str__(self) -> str:
        return f"{self.file} holds a secret ({self.kind}, {self.form})"


@dataclass(frozen=True)
class Search:
    secrets: int
    size: int
    leaks: tuple[Leak, ...]

    def __str__(self) -> str:
        found = f"{len(self.leaks)} found" if self.leaks else "none found"
        return f"leaks: {self.secrets} secrets looked for in {self.size // 1024} KB of logs and answers, {found}"


def search(directory: Path) -> Search:
    """Through the logs and answers of the cloud that ran in this directory."""
    secrets = list(_noted(directory / FILE))
    leaks, size = [], 0
    # Not those of functions that tests make, one of which prints its environment.
    logs = sorted(file for name in OURS for file in directory.glob(f"function-*{name}*.log"))
    for file in (*logs, directory / ANSWERS):
        text = file.read_bytes() if file.exists() else b""
        size += len(text)
        kinds = _kinds(file.name)
        sought = [(kind, value) for kind, value in secrets if kind in kinds]
        leaks += [Leak(file.name, kind, form) for kind, value in sought if (form := next(found(text, value), None))]
    return Search(len(secrets), size, tuple(leaks))


def found(text: bytes, secret: bytes) -> Iterator[str]:
    """The forms in which a text holds a secret."""
    return (form for form, written in forms(secret) if written in text)


def forms(secret: bytes) -> Iterable[tuple[str, bytes]]:
    text = secret.decode("utf-8", "replace")
    percent = quote(secret, safe="")
    yield "plain", secret
    if b"\xef\xbf\xbd" not in text.encode():
        yield "JSON", json.dumps(text)[1:-1].encode()
        yield "JSON, not only ASCII", json.dumps(text, ensure_ascii=False)[1:-1].encode()
    yield "percent-encoded", percent.encode()
    yield "percent-encoded twice", quote(percent, safe="").encode()
    yield "percent-encoded, lower case", re.sub("%..", lambda escape: escape[0].lower(), percent).encode()
    yield "a form field", percent.replace("%20", "+").encode()
    yield "hexadecimal", secret.hex().encode()
    yield "hexadecimal, upper case", secret.hex().upper().encode()
    yield "a list of bytes", ", ".join(str(byte) for byte in secret).encode()
    for before in range(3):
        padded = bytes(before) + secret
        # Only the letters that hold nothing but bits of the secret.
        kept = slice(-(-before * 8 // 6), len(padded) * 8 // 6)
        yield "base64", base64.b64encode(padded)[kept]
        yield "base64url", base64.urlsafe_b64encode(padded)[kept]


def _noted(file: Path) -> Iterator[tuple[str, bytes]]:
    for line in file.read_text().splitlines() if file.exists() else ():
        noted = json.loads(line)
        value = base64.b64decode(noted["value"])
        # One letter over and over, as of a body that is only long, is no secret.
        if len(value) >= SHORTEST and len(set(value)) > 4:
            yield noted["kind"], value


def _kinds(file: str) -> frozenset[str]:
    if file == ANSWERS:
        return IN_NO_ANSWER
    return IN_NO_LOG_OF_THE_INVOKER if "InvokerFunction" in file else IN_NO_LOG
