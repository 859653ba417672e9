"""InvokeEndpointAsync through the API: 202 at once, and the answer in the parent's S3."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests import iris, plain
from tests.cloud.endpoints import PARENT
from tests.e2e.world import World, as_list, refused

BUCKET = "async-input"
# Past this something hangs.
DEADLINE_SECONDS = 60


@pytest.fixture(scope="module")
def s3(world: World) -> Any:
    client = world.cloud.admin(PARENT).client("s3")
    client.create_bucket(Bucket=BUCKET)
    client.put_object(Bucket=BUCKET, Key="rows.csv", Body=iris.CSV)
    return client


def polled() -> Iterator[None]:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        yield
        time.sleep(0.05)
    raise AssertionError(f"nothing came within {DEADLINE_SECONDS} s")


def content(s3: Any, location: str) -> bytes:
    """What is at a place in S3, as soon as it is there."""
    place = urlsplit(location)
    for _ in polled():
        try:
            return s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchBucket"):
                raise
    raise AssertionError


def test_the_answer_comes_to_the_output_location(world: World, s3: Any):
    answer = world.api.invoke_endpoint_async(
        EndpointName="iris", ContentType="text/csv", InputLocation=f"s3://{BUCKET}/rows.csv", InferenceId="batch-7"
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert answer["InferenceId"] == "batch-7"
    assert content(s3, answer["OutputLocation"]).decode().split() == iris.LABELS


def test_input_in_the_body(world: World, s3: Any):
    answer = world.api.invoke_endpoint_async(EndpointName="iris", ContentType="text/csv", Body=iris.CSV)
    assert content(s3, answer["OutputLocation"]).decode().split() == iris.LABELS


def test_the_answers_name_is_chosen(world: World, s3: Any):
    answer = world.api.invoke_endpoint_async(
        EndpointName="iris", ContentType="text/csv", Body=iris.CSV, S3OutputPathExtension="runs/7", Filename="out.csv"
    )
    assert answer["OutputLocation"].endswith("/runs/7/out.csv")
    assert content(s3, answer["OutputLocation"]).decode().split() == iris.LABELS


def test_a_failing_model_is_told_of_at_the_failure_location(world: World, s3: Any):
    answer = world.api.invoke_endpoint_async(EndpointName="iris", ContentType="text/csv", Body=b"1,2,3\n")
    assert b"row 1 has 3 values" in content(s3, answer["FailureLocation"])


def test_r10_a_session_for_this_action_alone(world: World):
    with world.cloud.recording() as seen:
        world.api.invoke_endpoint_async(EndpointName="echo", Body=b"x")
    (call,) = seen.assumed
    (statement,) = json.loads(call["params"]["Policy"])["Statement"]
    assert as_list(statement["Action"]) == ["sagemaker:InvokeEndpointAsync"]
    assert as_list(statement["Resource"]) == [f"arn:aws:sagemaker:{world.cloud.region}:{PARENT}:endpoint/echo"]


@pytest.mark.parametrize("members", [{}, {"Body": b"x", "InputLocation": "s3://b/k"}], ids=["no-input", "two-inputs"])
def test_not_exactly_one_input_is_refused_before_any_aws_call(world: World, members: dict):
    with world.nothing_called(), refused(400, "ValidationError") as error:
        world.api.invoke_endpoint_async(EndpointName="echo", **members)
    assert "InputLocation" in error.message


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("InputLocation", "ftp://bucket/key"),
        ("S3OutputPathExtension", "s3:a"),
        ("Filename", "a.tar.gz"),
        ("RequestTTLSeconds", "59"),
        ("InvocationTimeoutSeconds", "3601"),
    ],
)
def test_s17_a_wrong_member_is_refused_before_any_aws_call(world: World, header: str, value: str):
    headers = {"X-Amzn-SageMaker-InputLocation": "s3://bucket/key"} | {f"X-Amzn-SageMaker-{header}": value}
    url = f"{world.api_url}/endpoints/echo/async-invocations"
    with world.nothing_called(), plain.sent(world.tester, "POST", url, b"", headers) as answer:
        said = json.load(answer)
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (400, "ValidationError")
    assert header in said["Message"]
