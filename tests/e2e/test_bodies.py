"""Bodies pass byte for byte on each POST route, whatever their type, and with no type at all (R05)."""

import hashlib

import pytest

from tests import plain
from tests.e2e.world import World

ROUTES = ("invocations", "invocations-response-stream", "async-invocations")
BODIES = {
    "all-256-values": bytes(range(256)),
    "invalid-utf-8": b"\xff\xfe\0",
    "utf-8": "Grüße, 世界\r\n".encode(),
    "json": b'{"a": [1, 2]}\n',
    "base64-like": b"AAH/",
    "form": b"a=1&b=%20",
}
TYPES = ("application/octet-stream", "text/csv", "application/json", "application/x-www-form-urlencoded", None)


@pytest.mark.parametrize("content_type", TYPES, ids=str)
@pytest.mark.parametrize("route", ROUTES)
def test_r05_the_model_gets_the_bytes_that_were_sent(world: World, route: str, content_type: str | None):
    headers = {"Content-Type": content_type} if content_type else {}
    for name, body in BODIES.items():
        with world.cloud.recording() as seen:
            with plain.sent(world.tester, "POST", f"{world.api_url}/endpoints/echo/{route}", body, headers) as answer:
                received = answer.read()
        assert answer.status in (200, 202), (name, received)
        (invocation,) = seen.invocations
        assert invocation["sha256"] == hashlib.sha256(body).hexdigest(), name
        if route == "invocations":
            assert received == body, name
        if route != "async-invocations":
            assert invocation["received"].get("content-type") == content_type, name
        else:
            assert "x-amzn-sagemaker-content-type" not in invocation["received"], name


def test_r01_a_header_newer_than_the_invoker_reaches_sagemaker(world: World):
    for route in ROUTES:
        headers = {"X-Amzn-SageMaker-Newer-Member": "as it is"}
        with world.cloud.recording() as seen:
            with plain.sent(world.tester, "POST", f"{world.api_url}/endpoints/echo/{route}", b"x", headers) as answer:
                answer.read()
        (invocation,) = seen.invocations
        assert invocation["received"]["x-amzn-sagemaker-newer-member"] == "as it is"
