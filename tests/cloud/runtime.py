"""SageMaker Runtime: its operations under IAM enforcement, in front of the model containers.

A request passes the steps of the real service: signature, identity and session policies (ministack's own evaluator, on
the request as it was signed), then the endpoint, then its container over HTTP, with the headers that SageMaker passes
on. Errors have the shapes of the service's model.
"""

import asyncio
import json
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ministack import app as ministack
from ministack.core import iam_evaluator, responses

from tests.cloud.calls import Record
from tests.cloud.containers import ContainerAnswer, Containers, NoAnswer
from tests.cloud.endpoints import Endpoint, Endpoints
from tests.cloud.request import Request, Response

_ROUTE = re.compile(r"/endpoints/([^/]*)/([a-z-]+)")
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
# The developer guide's limit for real-time inference.
MAX_BODY = 25 * 1024 * 1024

# Headers of the request that reach the container; everything else is dropped, as SageMaker does.
TO_CONTAINER = (
    "Content-Type",
    "Accept",
    "X-Amzn-SageMaker-Custom-Attributes",
    "X-Amzn-SageMaker-Enable-Explanations",
    "X-Amzn-SageMaker-Inference-Component",
    "X-Amzn-SageMaker-Inference-Id",
    "X-Amzn-SageMaker-Session-Id",
    "X-Amzn-SageMaker-Target-Container-Hostname",
    "X-Amzn-SageMaker-Target-Model",
    "X-Amzn-SageMaker-Target-Variant",
)
# Headers of the container's answer that reach the caller.
FROM_CONTAINER = (
    "Content-Type",
    "X-Amzn-SageMaker-Custom-Attributes",
    "X-Amzn-SageMaker-New-Session-Id",
    "X-Amzn-SageMaker-Closed-Session-Id",
)
# What SageMaker answers by itself, by the name of the modelled error.
SERVICE_FAULTS = {
    "ModelNotReadyException": (429, "The model is not ready for inference requests."),
    "InternalDependencyException": (530, "A dependency of the endpoint failed."),
    "InternalFailure": (500, "The service had an internal failure."),
    "ServiceUnavailable": (503, "The service is unavailable, try again."),
}


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

    async def answer(self, request: Request) -> Response | None:
        """The answer to a SageMaker Runtime request; None for any other."""
        route = _ROUTE.fullmatch(request.path)
        # InvokeEndpointWithResponseStream (invocations-response-stream) and InvokeEndpointAsync (async-invocations,
        # 202) take their places in this table.
        operations: dict[str, Callable[[Request, str], Awaitable[Response]]] = {"invocations": self._invoke_endpoint}
        operation = operations.get(route[2]) if route and request.method == "POST" else None
        if route is None or operation is None:
            return None
        try:
            return await operation(request, route[1])
        except Refused as refused:
            return refused.response

    async def _invoke_endpoint(self, request: Request, name: str) -> Response:
        authorize(request, "sagemaker:InvokeEndpoint", name)
        endpoint = self._endpoint(request, name)
        headers = request.headers
        variant = headers.get("x-amzn-sagemaker-target-variant", endpoint.variants[0])
        passed_on = {header: headers[header.lower()] for header in TO_CONTAINER if header.lower() in headers}
        seen = self.record.invocation(
            endpoint.account, endpoint.region, endpoint.name, variant, request.caller, passed_on, request.body
        )
        try:
            answer = await asyncio.to_thread(self.containers.invoke, endpoint.container, passed_on, request.body)
        except NoAnswer:
            raise _model_error(
                endpoint, 0, "Your invocation timed out while waiting for a response from container primary."
            ) from None
        seen.status = answer.status
        if not 200 <= answer.status < 300:
            raise _model_error(endpoint, answer.status, answer.body.decode("utf-8", "replace"))
        return _answer(answer, variant)

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
        if endpoint.fault:
            status, message = SERVICE_FAULTS[endpoint.fault]
            raise Refused(status, endpoint.fault, Message=message)
        headers = request.headers
        variant = headers.get("x-amzn-sagemaker-target-variant")
        if variant is not None and variant not in endpoint.variants:
            raise Refused(400, "ValidationError", Message=f"Variant {variant} not found for Endpoint {name}.")
        component = headers.get("x-amzn-sagemaker-inference-component")
        if component is not None and component not in endpoint.components:
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


def _answer(answer: ContainerAnswer, variant: str) -> Response:
    headers = [(name, answer.headers[name]) for name in FROM_CONTAINER if name in answer.headers]
    headers += [("x-Amzn-Invoked-Production-Variant", variant), ("x-amzn-RequestId", str(uuid.uuid4()))]
    return Response(200, answer.body, tuple(headers))


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
