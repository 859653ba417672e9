"""Asynchronous inference: what becomes of a request that SageMaker Runtime has put into an endpoint's queue.

As in the service, the input comes from S3 or with the request, the container's answer goes to the output's place in S3,
and a failure to the failure's place. The buckets are the endpoint's own account's, used with its own rights.
"""

import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from tests.cloud.containers import Containers, NoAnswer
from tests.cloud.endpoints import Endpoint

_EXTENSION = "x-amzn-sagemaker-s3outputpathextension"
_FILENAME = "x-amzn-sagemaker-filename"
_INFERENCE_ID = "x-amzn-sagemaker-inference-id"


@dataclass(frozen=True)
class Job:
    endpoint: Endpoint
    inference_id: str
    # A place in S3, or the bytes themselves.
    source: str | bytes
    output: str
    failure: str
    headers: dict[str, str]

    @classmethod
    def of(
        cls, request: dict[str, str], endpoint: Endpoint, source: str | bytes, to_container: dict[str, str]
    ) -> "Job":
        unique = str(uuid.uuid4())
        name = request.get(_FILENAME, f"{unique}.out")
        place = "/".join(filter(None, (request.get(_EXTENSION), name)))
        bucket = f"s3://sagemaker-{endpoint.region}-{endpoint.account}/async/{endpoint.name}"
        return cls(
            endpoint,
            request.get(_INFERENCE_ID, unique),
            source,
            f"{bucket}/output/{place}",
            f"{bucket}/failure/{place}",
            to_container,
        )


class Jobs:
    """The queue of all endpoints, worked off by one thread that starts with the first job."""

    def __init__(self, origin: str, containers: Containers) -> None:
        self._origin = origin
        self._containers = containers
        self._lock = threading.Lock()
        self._worker: ThreadPoolExecutor | None = None

    def put(self, job: Job) -> None:
        with self._lock:
            if self._worker is None:
                self._worker = ThreadPoolExecutor(1, thread_name_prefix="async-inference")
            # Whatever went wrong here is for the cloud's log, where the callback's own failure is written.
            self._worker.submit(self._run, job).add_done_callback(Future.result)

    def stop(self) -> None:
        with self._lock:
            if self._worker is not None:
                self._worker.shutdown(wait=False, cancel_futures=True)

    def _run(self, job: Job) -> None:
        account, region = job.endpoint.account, job.endpoint.region
        s3 = boto3.client(
            "s3",
            region_name=region,
            endpoint_url=self._origin,
            aws_access_key_id=account,
            aws_secret_access_key="any",
        )
        try:
            source = job.source if isinstance(job.source, bytes) else _read(s3, job.source)
            answer = self._containers.invoke(job.endpoint.container, job.headers, source)
            body = answer.body()
        except ClientError as error:
            _write(s3, job.failure, f"the input cannot be read: {error}".encode(), region)
            return
        except NoAnswer as error:
            _write(s3, job.failure, f"the container gave no answer: {error}".encode(), region)
            return
        _write(s3, job.output if 200 <= answer.status < 300 else job.failure, body, region)


def _read(s3, location: str) -> bytes:
    place = urlsplit(location)
    return s3.get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))["Body"].read()


def _write(s3, location: str, body: bytes, region: str) -> None:
    place = urlsplit(location)
    s3.create_bucket(Bucket=place.netloc, **_constraint(region))
    s3.put_object(Bucket=place.netloc, Key=place.path.lstrip("/"), Body=body)


def _constraint(region: str) -> dict:
    return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
