"""API Gateway REST APIs, where ministack's differ from the real ones and this project would notice.

Before ministack sees a call (`before`): whose API it is, how long the request is, whether there is such a path, whether
the signature names the right service and Region, and callers of other accounts. Inside ministack (`install`): streamed
Lambda answers, request ids, repeated headers, binary bodies, events that are too long for Lambda, which tokens a user
pool's authorizer takes, and which API key a call came with.
"""

import asyncio
import base64
import contextvars
import json
from typing import Any

from ministack import app as ministack
from ministack.core import responses, sigv4
from ministack.services import apigateway_v1

from tests.cloud import streams
from tests.cloud.request import Message, Receive, Request, Response, Send

# API Gateway's limit of a request, and Lambda's of the event that it makes of it.
MAX_BODY = 10 * 1024 * 1024
MAX_EVENT = 6 * 1024 * 1024
_STREAMING = "/response-streaming-invocations"
# A header of the function's answer that API Gateway keeps for itself arrives at the caller under another name.
_REMAPPED = {"x-amzn-requestid": "x-amzn-Remapped-x-amzn-RequestId"}

_request: contextvars.ContextVar[Request] = contextvars.ContextVar("gateway_request")
_request_id: contextvars.ContextVar[str] = contextvars.ContextVar("gateway_request_id", default="")
_api_key: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("gateway_api_key", default=None)
_stream: contextvars.ContextVar[streams.Stream | None] = contextvars.ContextVar("gateway_stream", default=None)


def before(request: Request) -> Response | None:
    """Prepare a call of an API; an answer when it goes no further."""
    parsed = ministack._parse_execute_api_url(request.headers.get("host", ""), request.path)
    owner = _owner(parsed[0]) if parsed else None
    if parsed is None or owner is None:
        return None
    _request.set(request)
    api, stage, path = parsed
    account, region = owner
    with responses.request_scope(account, region):
        authorization = apigateway_v1.method_authorization_type(api, stage, request.method, path)
    if len(request.body) > MAX_BODY:
        return Response(413, f"HTTP content length exceeded {MAX_BODY} bytes.".encode())
    if authorization is None:
        return _no_method(request, account, region, api, stage)
    if authorization != "AWS_IAM" or not request.access_key:
        # ministack looks an API up in the caller's account; without a caller, that is the owner's.
        responses.set_request_account_id(account)
        return None
    if request.service != "execute-api":
        return _refused(
            "InvalidSignatureException", "message", "Credential should be scoped to correct service: 'execute-api'. "
        )
    if request.region != region:
        text = f"Credential should be scoped to a valid region, not '{request.region}'. "
        return _refused("InvalidSignatureException", "message", text)
    if responses.get_account_id() != account:
        # Without a resource policy, only the owner's account can be allowed.
        arn = f"arn:aws:execute-api:{region}:********{account[-4:]}:{api}/{stage}/{request.method}{path}"
        return _refused(
            "AccessDeniedException",
            "Message",
            (f"User: {request.caller} is not authorized to perform: execute-api:Invoke on resource: {arn}"),
        )
    return None


def _no_method(request: Request, account: str, region: str, api: str, stage: str) -> Response:
    """There is no such stage, path or method. API Gateway authenticates such a call as if it were to be signed."""
    with responses.request_scope(account, region):
        if stage not in apigateway_v1._stages_v1.get(api, {}):
            return _refused("ForbiddenException", "message", "Forbidden")
    if request.headers.get("authorization") and not request.access_key:
        code, text = sigv4.foreign_authorization_failure(request.headers) or ("IncompleteSignature", "")
        return _refused(f"{code}Exception", "message", text)
    return _refused("MissingAuthenticationTokenException", "message", "Missing Authentication Token")


def after(send: Send) -> Send:
    """The response channel: the request id that the caller sees is the one in the function's requestContext."""

    async def with_request_id(message: Message) -> None:
        request_id = _request_id.get()
        if message["type"] == "http.response.start" and request_id:
            headers = [(name, value) for name, value in message["headers"] if name.lower() != b"x-amzn-requestid"]
            message = {**message, "headers": [*headers, (b"x-amzn-RequestId", request_id.encode())]}
        await send(message)

    return with_request_id


def install() -> None:
    """Put the differences inside ministack in place."""
    _strip_streaming_suffix()
    _stream_answers()
    _refuse_access_tokens()
    _note_api_keys()
    _complete_events()


def _owner(api: str) -> tuple[str, str] | None:
    for (account, region, stored), _ in apigateway_v1._rest_apis.all_items():
        if stored == api:
            return account, region
    return None


def _refused(code: str, member: str, message: str) -> Response:
    headers = (
        ("Content-Type", "application/json"),
        ("x-amzn-ErrorType", code),
        ("x-amzn-RequestId", responses.new_uuid()),
    )
    return Response(403, json.dumps({member: message}).encode(), headers)


def _strip_streaming_suffix() -> None:
    original = apigateway_v1._extract_lambda_ref_from_integration_uri

    def lambda_ref(uri: str) -> str:
        return original(uri.removesuffix(_STREAMING) + "/invocations" if uri.endswith(_STREAMING) else uri)

    apigateway_v1._extract_lambda_ref_from_integration_uri = lambda_ref


def _stream_answers() -> None:
    invoke, shape = apigateway_v1._invoke_lambda_proxy_v1, apigateway_v1._lambda_proxy_response

    async def invoke_lambda_proxy(integration: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if not integration.get("uri", "").endswith(_STREAMING):
            return await invoke(integration, *args, **kwargs)
        stream = streams.Stream()
        _stream.set(stream)
        # Its context is a copy of this one: what it sets there is not seen here.
        whole = asyncio.create_task(invoke(integration, *args, **kwargs))
        whole.add_done_callback(lambda _: streams.forget(stream))
        head = asyncio.create_task(stream.head())
        await asyncio.wait({whole, head}, return_when=asyncio.FIRST_COMPLETED)
        _request_id.set(stream.request_id)
        if whole.done() and isinstance(whole.exception(), _EventTooLarge):
            stream.end()
            await head
            return apigateway_v1._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
        if not head.done():
            # The function has ended: what it sent lies in the stream, if it sent anything.
            stream.end()
        try:
            begun = await head
        except streams.Malformed as malformed:
            await whole
            return 502, {"Content-Type": "application/json"}, json.dumps({"message": str(malformed)}).encode()
        return await whole if begun is None else _streamed(*begun, stream, whole)

    def lambda_proxy_response(result: dict[str, Any]) -> tuple[dict[str, Any] | None, str | None]:
        if _stream.get() is None or result.get("error") or result.get("throttle"):
            return shape(result)
        # Asked for only where the stream has no head.
        return None, "the integration streams, but the function has streamed nothing"

    apigateway_v1._invoke_lambda_proxy_v1 = invoke_lambda_proxy
    apigateway_v1._lambda_proxy_response = lambda_proxy_response


def _streamed(metadata: dict[str, Any], first: bytes, stream: streams.Stream, whole: asyncio.Task[Any]) -> Any:
    """Status, headers, and a body that is sent as it comes. One that breaks off is cut: its end is not sent."""
    multi = dict(metadata.get("multiValueHeaders") or {})
    if metadata.get("cookies"):
        multi["Set-Cookie"] = [*multi.get("Set-Cookie", []), *metadata["cookies"]]
    # ministack's own shape for an answer: a list is as many lines.
    headers = {"Content-Type": "application/json"}
    for name, value in (*_remap(metadata.get("headers") or {}).items(), *_remap(multi).items()):
        for same in [known for known in headers if known.lower() == name.lower()]:
            del headers[same]
        headers[name] = value

    async def run(send: Send, _: Receive) -> None:
        async def pass_on(piece: bytes, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": piece, "more_body": more})

        try:
            await pass_on(first)
            async for piece in stream.body():
                await pass_on(piece)
        except streams.Broken:
            return
        finally:
            # Whoever has read the end finds the function's logs complete.
            await whole
        await pass_on(b"", more=False)

    return metadata.get("statusCode", 200), headers, responses.StreamingResponse(run)


def _remap(headers: dict[str, Any]) -> dict[str, Any]:
    return {_REMAPPED.get(name.lower(), name): value for name, value in headers.items()}


def _refuse_access_tokens() -> None:
    """Where a method names no scopes, API Gateway takes the token for an identity token and refuses any other."""
    original = apigateway_v1._validate_cognito_authorizer

    async def validate(authorizer: dict[str, Any], method: dict[str, Any], *args: Any) -> tuple[Any, Any]:
        claims, error = await original(authorizer, method, *args)
        if error is None and not method.get("authorizationScopes") and claims.get("token_use") != "id":
            return None, apigateway_v1._gw_error("UNAUTHORIZED", "Unauthorized")
        return claims, error

    apigateway_v1._validate_cognito_authorizer = validate


def _note_api_keys() -> None:
    original = apigateway_v1._check_api_key

    def check_api_key(*args: Any) -> tuple[Any, Any]:
        error, key = original(*args)
        _api_key.set(key)
        return error, key

    apigateway_v1._check_api_key = check_api_key
    apigateway_v1._GATEWAY_RESPONSE_ERROR_TYPES["INVALID_API_KEY"] = "ForbiddenException"


class _EventTooLarge(Exception):
    """Lambda does not take the event that API Gateway has made of the request."""


def _complete_events() -> None:
    original = apigateway_v1._build_lambda_event_v1

    def build_lambda_event(*args: Any, **kwargs: Any) -> dict[str, Any]:
        event = original(*args, **kwargs)
        request = _request.get()
        _request_id.set(event["requestContext"]["requestId"])
        if stream := _stream.get():
            streams.register(event["requestContext"]["requestId"], stream)
        lines: dict[str, list[str]] = {}
        for name, value in request.raw_headers:
            lines.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        event["multiValueHeaders"] = lines
        event["headers"] = {name: values[-1] for name, values in lines.items()}
        # Only of a method that asks for a key.
        key = _api_key.get()
        event["requestContext"]["identity"]["apiKey"] = key and key["value"]
        event["requestContext"]["identity"]["apiKeyId"] = key and key["id"]
        # A body without a content type counts as application/json, which */* covers.
        if request.body and "*/*" in (kwargs.get("binary_media_types") or []):
            event["body"], event["isBase64Encoded"] = base64.b64encode(request.body).decode(), True
        if len(json.dumps(event, separators=(",", ":"))) > MAX_EVENT:
            raise _EventTooLarge
        return event

    apigateway_v1._build_lambda_event_v1 = build_lambda_event
