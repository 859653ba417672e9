"""SageMaker Runtime: its operations under IAM enforcement, in front of the model containers.

A request passes the steps of the real service: signature, identity and session policies (ministack's own evaluator, on
the request as it was signed), then the endpoint, then its container over HTTP, with the headers that SageMaker passes
on. Errors have the shapes of the service's model.
"""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from ministack import app as ministack
from ministack.core import iam_evaluator, responses

from tests.cloud import event_stream
from tests.cloud.async_inference import Job, Jobs
from tests.cloud.calls import Invocation, Record
from tests.cloud.containers import ContainerAnswer, Containers, NoAnswer
from tests.cloud.endpoints import Endpoint, Endpoints
from tests.cloud.lost_answers import Lost, LostResponse
from tests.cloud.request import Request, Response, StreamedResponse

_ROUTE = re.compile(r"/endpoints/([^/]*)/([a-z-]+)")
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
# The developer guide's limit for real-time inference, and the model's for the body of an asynchronous call.
MAX_BODY = 25 * 1024 * 1024
MAX_ASYNC_BODY = 128_000
# Not told to tests: what a caller proves with.
_SIGNATURE = ("authorization", "x-amz-security-token")

_CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_MODEL_ACCEPT, _MODEL_CONTENT_TYPE = "X-Amzn-SageMaker-Accept", "X-Amzn-SageMaker-Content-Type"


def _as_they_are(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_OF_BOTH = _as_they_are(
    "Content-Type",
    _CUSTOM_ATTRIBUTES,
    "X-Amzn-SageMaker-Inference-Component",
    "X-Amzn-SageMaker-Inference-Id",
    "X-Amzn-SageMaker-Prefix-Aware-Id",
    "X-Amzn-SageMaker-Session-Id",
    "X-Amzn-SageMaker-Target-Container-Hostname",
    "X-Amzn-SageMaker-Target-Variant",
)
# What the container is given, by the names that it knows, and what the operation calls it; everything else is dropped.
TO_CONTAINER = {
    "InvokeEndpoint": {
        **_OF_BOTH,
        **_as_they_are("Accept", "X-Amzn-SageMaker-Enable-Explanations", "X-Amzn-SageMaker-Target-Model"),
    },
    "InvokeEndpointWithResponseStream": {**_OF_BOTH, "Accept": _MODEL_ACCEPT},
    "InvokeEndpointAsync": {
        "Content-Type": _MODEL_CONTENT_TYPE,
        "Accept": _MODEL_ACCEPT,
        **_as_they_are(_CUSTOM_ATTRIBUTES, "X-Amzn-SageMaker-Inference-Id"),
    },
}
# What the caller gets of the container's answer, and what the operation calls it.
FROM_CONTAINER = {
    "InvokeEndpoint": _as_they_are(
        "Content-Type",
        _CUSTOM_ATTRIBUTES,
        "X-Amzn-SageMaker-New-Session-Id",
        "X-Amzn-SageMaker-Closed-Session-Id",
    ),
    "InvokeEndpointWithResponseStream": {
        "Content-Type": _MODEL_CONTENT_TYPE,
        **_as_they_are(_CUSTOM_ATTRIBUTES),
    },
}

Answer = Response | StreamedResponse | LostResponse


class Refused(Exception):
    """An answer other than the model's."""

    def __init__(self, status: int, code: str, **members: object) -> None:
        super().__init__(code)
        self.response = _error(status, code, members)


@dataclass(frozen=True)
class Runtime:
    endpoints: Endpoints
    containers: Containers
    record: Record
    jobs: Jobs

    async def answer(self, request: Request) -> Answer | None:
        """The answer to a SageMaker Runtime request; None for any other."""
        route = _ROUTE.fullmatch(request.path)
        operations: dict[str, Callable[[Request, str], Awaitable[Answer]]] = {
            "invocations": self._invoke_endpoint,
            "invocations-response-stream": self._invoke_endpoint_with_response_stream,
            "async-invocations": self._invoke_endpoint_async,
        }
        operation = operations.get(route[2]) if route and request.method == "POST" else None
        if route is None or operation is None:
            return None
        try:
            return await operation(request, route[1])
        except (Refused, Lost) as given:
            return given.response

    async def _invoke_endpoint(self, request: Request, name: str) -> Response:
        authorize(request, "sagemaker:InvokeEndpoint", name)
        endpoint = self._endpoint(request, name)
        seen = self._note("InvokeEndpoint", request, endpoint)
        answer = await self._ask(endpoint, seen, request.body)
        try:
            body = await asyncio.to_thread(answer.body)
        except NoAnswer:
            raise _no_answer(endpoint) from None
        return Response(200, body, _headers(endpoint, seen, answer))

    async def _invoke_endpoint_with_response_stream(self, request: Request, name: str) -> StreamedResponse:
        # The API's reference asks for the first, the service authorization reference for the second.
        authorize(request, "sagemaker:InvokeEndpoint", name)
        authorize(request, "sagemaker:InvokeEndpointWithResponseStream", name)
        endpoint = self._endpoint(request, name)
        seen = self._note("InvokeEndpointWithResponseStream", request, endpoint)
        answer = await self._ask(endpoint, seen, request.body)
        headers = (*_headers(endpoint, seen, answer), ("Content-Type", event_stream.CONTENT_TYPE))
        return StreamedResponse(200, _frames(endpoint, answer), headers)

    async def _invoke_endpoint_async(self, request: Request, name: str) -> Response:
        authorize(request, "sagemaker:InvokeEndpointAsync", name)
        endpoint = self._endpoint(request, name)
        headers = request.headers
        location = headers.get("x-amzn-sagemaker-inputlocation")
        if len(request.body) > MAX_ASYNC_BODY or bool(location) == bool(request.body):
            limit = f"Exactly one of InputLocation and Body (at most {MAX_ASYNC_BODY} bytes) must be given."
            raise Refused(400, "ValidationError", Message=limit)
        seen = self._note("InvokeEndpointAsync", request, endpoint)
        job = Job.of(headers, endpoint, location or request.body, seen.headers)
        self.jobs.put(job)
        if endpoint.lost and endpoint.lost.is_of(seen.operation):
            raise Lost(endpoint.lost)
        answered = {
            "X-Amzn-SageMaker-OutputLocation": job.output,
            "X-Amzn-SageMaker-FailureLocation": job.failure,
            "Content-Type": "application/json",
            "x-amzn-RequestId": str(uuid.uuid4()),
            **endpoint.headers,
        }
        body = json.dumps({"InferenceId": job.inference_id, **endpoint.members}).encode()
        return Response(202, body, tuple(answered.items()))

    def _note(self, operation: str, request: Request, endpoint: Endpoint) -> Invocation:
        sent = request.headers
        names = TO_CONTAINER[operation].items()
        return self.record.invocation(
            operation=operation,
            account=endpoint.account,
            region=endpoint.region,
            endpoint=endpoint.name,
            variant=sent.get("x-amzn-sagemaker-target-variant", endpoint.variants[0]),
            caller=request.caller,
            path=request.path,
            received={name: value for name, value in sent.items() if name not in _SIGNATURE},
            headers={known: sent[name.lower()] for known, name in names if name.lower() in sent},
            body=request.body,
        )

    async def _ask(self, endpoint: Endpoint, seen: Invocation, body: bytes) -> ContainerAnswer:
        """The container's answer, which is a success."""
        try:
            answer = await asyncio.to_thread(self.containers.invoke, endpoint.container, seen.headers, body)
            seen.status = answer.status
            lost = endpoint.lost if endpoint.lost and endpoint.lost.is_of(seen.operation) else None
            if 200 <= answer.status < 300 and lost is None:
                return answer
            said = await asyncio.to_thread(answer.body)
        except NoAnswer:
            raise _no_answer(endpoint) from None
        if lost:
            raise Lost(lost)
        raise _model_error(endpoint, answer.status, said.decode("utf-8", "replace"))

    def _endpoint(self, request: Request, name: str) -> Endpoint:
        account = responses.get_account_id()
        if len(request.body) > MAX_BODY:
            raise Refused(413, "ValidationError", Message=f"The body is larger than {MAX_BODY} bytes.")
        if not _NAME.fullmatch(name):
            raise Refused(
                400,
                "ValidationError",
                Message=(
                    f"1 validation error detected: Value '{name}' at 'endpointName' failed to satisfy constraint: "
                    "Member must satisfy regular expression pattern: ^[a-zA-Z0-9](-*[a-zA-Z0-9])*"
                ),
            )
        endpoint = self.endpoints.find(account, request.region, name)
        if endpoint is None:
            raise Refused(400, "ValidationError", Message=f"Endpoint {name} of account {account} not found.")
        if endpoint.fault and endpoint.fault.status:
            raise Refused(endpoint.fault.status, endpoint.fault.code, **endpoint.fault.members)
        headers = request.headers
        variant = headers.get("x-amzn-sagemaker-target-variant")
        if variant is not None and not endpoint.has(variant, endpoint.variants):
            raise Refused(400, "ValidationError", Message=f"Variant {variant} not found for Endpoint {name}.")
        component = headers.get("x-amzn-sagemaker-inference-component")
        if component is not None and not endpoint.has(component, endpoint.components):
            raise Refused(
                400, "ValidationError", Message=(f"Inference Component {component} of account {account} not found.")
            )
        return endpoint


def authorize(request: Request, action: str, name: str) -> None:
    """Signature, identity policies, boundary and session policies of the caller, for everything the call touches."""
    iam_evaluator.pin_request_origin("127.0.0.1", False)
    iam_evaluator.pin_signed_request(request.method, request.raw_path, request.query, request.raw_headers)
    iam_evaluator.pin_signed_body(request.body)
    responses.set_request_region(request.region)
    if request.access_key and request.service != "sagemaker":
        raise Refused(
            403, "InvalidSignatureException", message=("Credential should be scoped to correct service: 'sagemaker'. ")
        )
    headers = request.headers
    target_model = headers.get("x-amzn-sagemaker-target-model")
    context = {"sagemaker:TargetModel": target_model} if target_model else {}
    for resource in _resources(name, headers.get("x-amzn-sagemaker-inference-component")):
        arn = f"arn:aws:sagemaker:{request.region}:{responses.get_account_id()}:{resource}"
        denied = ministack._enforce_data_plane(
            "sagemaker",
            action,
            headers,
            request.query,
            "",
            resource_arn=arn,
            service_context=context,
            named_resource=arn,
        )
        if denied:
            status, _, body = denied
            said = json.loads(body)
            raise Refused(status, said.pop("__type"), **said)


def _resources(name: str, component: str | None) -> list[str]:
    """What IAM must allow: the endpoint and, when one is named, the inference component.

    SageMaker's ARNs are sometimes in lower case. Which spelling AWS evaluates is not documented, so here a name with
    capitals must be allowed in both: a policy that passes works whichever it is.
    """
    resources = [f"endpoint/{name}"]
    if component is not None:
        resources.append(f"inference-component/{component}")
    return list(dict.fromkeys(spelling for r in resources for spelling in (r, r.lower())))


def _headers(endpoint: Endpoint, seen: Invocation, answer: ContainerAnswer) -> tuple[tuple[str, str], ...]:
    """The container's, SageMaker's own, and those that the endpoint was set up with."""
    names = FROM_CONTAINER[seen.operation].items()
    of_container = {name: answer.headers[known] for known, name in names if known in answer.headers}
    own = {"x-Amzn-Invoked-Production-Variant": seen.variant, "x-amzn-RequestId": str(uuid.uuid4())}
    return tuple({**of_container, **own, **endpoint.headers}.items())


async def _frames(endpoint: Endpoint, answer: ContainerAnswer) -> AsyncIterator[bytes]:
    """A frame for each piece of the container's answer, as it comes, and one for what ended it early."""
    try:
        while (piece := await asyncio.to_thread(next, answer.pieces, None)) is not None:
            yield event_stream.payload_part(piece)
    except NoAnswer:
        members = {"Message": "The stream from the container broke off.", "ErrorCode": "StreamBroken"}
        yield event_stream.exception("ModelStreamError", members)
        return
    if endpoint.fault:
        yield event_stream.exception(endpoint.fault.code, endpoint.fault.members)


def _no_answer(endpoint: Endpoint) -> Refused:
    return _model_error(endpoint, 0, "Your invocation timed out while waiting for a response from container primary.")


def _model_error(endpoint: Endpoint, status: int, message: str) -> Refused:
    side, code = (
        ("client", "CLIENT_ERROR_FROM_MODEL") if 400 <= status < 500 else ("server", "INTERNAL_FAILURE_FROM_MODEL")
    )
    logs = f"arn:aws:logs:{endpoint.region}:{endpoint.account}:log-group:/aws/sagemaker/Endpoints/{endpoint.name}"
    return Refused(
        424,
        "ModelError",
        ErrorCode=code,
        LogStreamArn=logs,
        OriginalMessage=message,
        OriginalStatusCode=status,
        Message=f'Received {side} error ({status}) from primary with message "{message}". See {logs} for more '
        "information.",
    )


def _error(status: int, code: str, members: dict[str, object]) -> Response:
    headers = (
        ("Content-Type", "application/json"),
        ("x-amzn-ErrorType", code),
        ("x-amzn-RequestId", str(uuid.uuid4())),
    )
    return Response(status, json.dumps(members).encode(), headers)
