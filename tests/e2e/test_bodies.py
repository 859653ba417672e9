"""Bodies pass byte for byte on each POST route, whatever their type, and with no type at all (R05)."""

import hashlib
import json

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


def test_a_body_of_four_and_a_half_megabytes_is_the_longest_that_lambda_takes(world: World):
    """In base64 a body is a third longer, and the event around it has to fit into Lambda's 6 MB as well."""
    for length, status in ((4_500_000, 200), (4_720_000, 413)):
        with world.cloud.recording() as seen:
            status_and_body = answered(world, b"x" * length)
        assert status_and_body[0] == status
        assert [invocation["length"] for invocation in seen.invocations] == ([length] if status == 200 else [])
    assert json.loads(status_and_body[1]) == {"message": "Request Too Long"}


def test_more_than_ten_megabytes_api_gateway_does_not_read(world: World):
    with world.nothing_called():
        status, said = answered(world, b"x" * (10 * 1024 * 1024 + 1))
    assert (status, said) == (413, b"HTTP content length exceeded 10485760 bytes.")


def answered(world: World, body: bytes) -> tuple[int, bytes]:
    with plain.sent(world.tester, "POST", f"{world.api_url}/endpoints/echo/invocations", body) as answer:
        return answer.status, answer.read()
