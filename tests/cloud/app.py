"""The ASGI application: which part answers a request, and the record of every AWS call."""

import time
from dataclasses import dataclass

from ministack import app as ministack

from tests.cloud import control, gateway
from tests.cloud.calls import Call, Record
from tests.cloud.canaries import Canaries
from tests.cloud.control import Control
from tests.cloud.request import ClientGone, Message, Receive, Request, Scope, Send
from tests.cloud.runtime import Runtime
from tests.cloud.sts_faults import StsFaults

# ministack's own endpoints: health, the answers to CloudFormation's ResponseURL. No AWS calls.
_INTERNAL = "/_ministack/"


@dataclass(frozen=True)
class App:
    record: Record
    runtime: Runtime
    sts_faults: StsFaults
    control: Control
    canaries: Canaries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_INTERNAL):
            await ministack.app(scope, receive, send)
            return
        try:
            request = await Request.read(scope, receive)
        except ClientGone:
            return
        if request.path.startswith(control.PREFIX):
            await self.control.answer(request).send(send)
            return
        self.canaries.of_request(request)
        send = self.canaries.watching(request, _noting_answer(self.record.call(request), send))
        answer = await self.runtime.answer(request) or self.sts_faults.answer(request) or gateway.before(request)
        if answer is not None:
            await answer.send(send)
            return
        await ministack.app(scope, request.replay(receive), gateway.after(send))


def _noting_answer(call: Call, send: Send) -> Send:
    start = time.monotonic()

    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            call.status = message["status"]
        await send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            call.seconds = time.monotonic() - start

    return noting
