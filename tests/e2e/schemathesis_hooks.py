"""What schemathesis loads before it runs: signatures, bodies that it cannot read, and what OpenAPI cannot say."""

import json
import os
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.eventstream import EventStreamBuffer
from schemathesis.core import NOT_SET

# What the connection sets once the request is signed.
_UNSIGNED = ("user-agent", "connection", "accept-encoding")
_INPUT_LOCATION = "X-Amzn-SageMaker-InputLocation"


class Signature(requests.auth.AuthBase):
    """A member's, over the request as it is sent, whatever is in it."""

    def __init__(self) -> None:
        self._keys = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])

    def __call__(self, sent: requests.PreparedRequest) -> requests.PreparedRequest:
        headers = {name: value for name, value in sent.headers.items() if name.lower() not in _UNSIGNED}
        request = AWSRequest(sent.method, sent.url, data=sent.body, headers=headers)
        request.headers["Host"] = urlsplit(sent.url).netloc
        SigV4Auth(self._keys, "execute-api", os.environ["AWS_REGION"]).add_auth(request)
        sent.headers.update(request.headers)
        return sent


schemathesis.auth.set_from_requests(Signature())


@schemathesis.deserializer("application/vnd.amazon.eventstream")
def frames(_: Any, response: Any) -> list[dict[str, Any]]:
    """Every frame must be whole and have its checksums right."""
    buffer = EventStreamBuffer()
    buffer.add_data(response.content)
    return [frame.to_response_dict()["headers"] for frame in buffer]


@schemathesis.deserializer("application/jsonlines")
def lines(_: Any, response: Any) -> list[Any]:
    return [json.loads(line) for line in response.content.splitlines()]


@schemathesis.hook
def filter_case(_: Any, case: Any) -> bool:
    """Whether the case is what it says it is."""
    headers = case.headers or {}
    # A header that nobody knows breaks no rule, though the case counts as one that does.
    if any("unknown-property" in name for name in headers):
        return False
    # An asynchronous call needs either of two: a rule across header and body, which OpenAPI has no words for.
    if case.operation.definition.raw.get("operationId") == "InvokeEndpointAsync":
        has_body = case.body is not NOT_SET and case.body != b""
        return has_body != (_INPUT_LOCATION in headers)
    return True
