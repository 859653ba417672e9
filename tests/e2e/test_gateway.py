"""What the local API Gateway makes of a function's streamed answer, which the other tests lean on."""

import http.client
import io
import json
import sys
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from tests import plain
from tests.cloud.client import Cloud

ACCOUNT = "151212121212"
# A runtime that answers each event with the bytes below and, after them, with these trailers.
BOOTSTRAP = """#!{python}
import http.client, os
api = os.environ["AWS_LAMBDA_RUNTIME_API"]
chunks, trailers = {chunks!r}, {trailers!r}
while True:
    connection = http.client.HTTPConnection(api)
    connection.request("GET", "/2018-06-01/runtime/invocation/next")
    event = connection.getresponse()
    event.read()
    connection.putrequest("POST", "/2018-06-01/runtime/invocation/%s/response"
                          % event.headers["Lambda-Runtime-Aws-Request-Id"])
    connection.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    for chunk in chunks:
        connection.send(b"%x\\r\\n%b\\r\\n" % (len(chunk), chunk))
    connection.send(b"0\\r\\n" + trailers + b"\\r\\n")
    connection.getresponse().read()
"""
HEAD = json.dumps({"statusCode": 201, "headers": {"X-Own": "1"}, "cookies": ["a=1", "b=2"]}).encode()
NULS = b"\0" * 8

Deploy = Callable[..., str]


@pytest.fixture(scope="module")
def api(cloud: Cloud) -> Deploy:
    """The URL of an API whose one route a new function answers, in these chunks."""
    trust = {"Version": "2012-10-17", "Statement": []}
    iam = cloud.admin(ACCOUNT).client("iam")
    role = iam.create_role(RoleName="any", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]

    def deploy(name: str, *chunks: bytes, trailers: bytes = b"") -> str:
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            bootstrap = zipfile.ZipInfo("bootstrap")
            bootstrap.external_attr = 0o755 << 16
            archive.writestr(bootstrap, BOOTSTRAP.format(python=sys.executable, chunks=chunks, trailers=trailers))
        admin = cloud.admin(ACCOUNT)
        function = admin.client("lambda").create_function(
            FunctionName=name,
            Runtime="provided.al2023",
            Handler="bootstrap",
            Role=role,
            Code={"ZipFile": package.getvalue()},
        )
        return cloud.local_url(rest_api(admin.client("apigateway"), cloud.region, function["FunctionArn"]))

    return deploy


def rest_api(gateway: Any, region: str, function: str) -> str:
    api = gateway.create_rest_api(name=function)["id"]
    (root,) = gateway.get_resources(restApiId=api)["items"]
    resource = gateway.create_resource(restApiId=api, parentId=root["id"], pathPart="any")["id"]
    method = {"restApiId": api, "resourceId": resource, "httpMethod": "GET"}
    gateway.put_method(**method, authorizationType="NONE")
    functions = f"arn:aws:apigateway:{region}:lambda:path/2021-11-15/functions"
    uri = f"{functions}/{function}/response-streaming-invocations"
    gateway.put_integration(**method, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    gateway.create_deployment(restApiId=api, stageName="v1")
    return f"https://{api}.execute-api.{region}.amazonaws.com/v1"


def get(cloud: Cloud, url: str) -> tuple[http.client.HTTPResponse, bytes]:
    with plain.sent(cloud.admin(ACCOUNT), "GET", f"{url}/any") as answer:
        return answer, answer.read()


@pytest.mark.parametrize(
    "chunks",
    [
        (HEAD, NULS, b"\0body\xff"),
        (HEAD + NULS + b"\0body\xff",),
        (HEAD[:9], HEAD[9:] + NULS[:3], NULS[3:] + b"\0body\xff"),
    ],
    ids=["apart", "together", "across"],
)
def test_metadata_becomes_status_and_headers_wherever_chunks_end(
    cloud: Cloud, api: Deploy, chunks: tuple, request: Any
):
    answer, body = get(cloud, api(request.node.callspec.id, *chunks))
    assert (answer.status, answer.headers["X-Own"]) == (201, "1")
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert answer.headers["x-amzn-RequestId"]
    assert body == b"\0body\xff"


def test_an_answer_that_breaks_off_is_cut(cloud: Cloud, api: Deploy):
    url = api("breaks", HEAD + NULS + b"begun", trailers=b"Lambda-Runtime-Function-Error-Type: Broken\r\n")
    with pytest.raises(http.client.IncompleteRead) as raised:
        get(cloud, url)
    assert raised.value.partial == b"begun"


@pytest.mark.parametrize("chunks", [(b"no metadata" + NULS,), (HEAD,), (b" " * 16_384, NULS), ()], ids=str)
def test_an_answer_without_metadata_is_a_502(cloud: Cloud, api: Deploy, chunks: tuple, request: Any):
    answer, said = get(cloud, api(f"odd-{len(chunks)}-{len(b''.join(chunks))}", *chunks))
    assert answer.status == 502, said
