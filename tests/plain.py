"""Signed requests without an SDK: no header but the signature's and what the test gives."""

import http.client
from collections.abc import Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from tests.cloud.client import Caller

# Of an answer that does not come, a test says so and does not wait for ever.
TIMEOUT_SECONDS = 60


@contextmanager
def sent(
    caller: Caller, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Iterator[http.client.HTTPResponse]:
    """The answer, whose body has yet to be read; signed for API Gateway."""
    request = AWSRequest(method, url, data=body, headers=headers)
    SigV4Auth(caller.session.get_credentials(), "execute-api", caller.cloud.region).add_auth(request)
    to = urlsplit(url)
    with closing(http.client.HTTPConnection(to.netloc, timeout=TIMEOUT_SECONDS)) as connection:
        connection.request(method, to.path, body, dict(request.headers))
        yield connection.getresponse()
