"""An error with which STS answers every AssumeRole while a test has set it."""

from html import escape

from ministack.core import responses

from tests.cloud.calls import FORM
from tests.cloud.endpoints import Fault
from tests.cloud.request import Request, Response


class StsFaults:
    def __init__(self) -> None:
        self.fault: Fault | None = None

    def answer(self, request: Request) -> Response | None:
        """The error; None for any other call, or while there is none."""
        fault = self.fault
        if fault is None or fault.status is None or not _is_assume_role(request):
            return None
        body = (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
            f"<Code>{escape(fault.code)}</Code><Message>{escape(str(fault.members.get('Message', '')))}</Message>"
            f"</Error><RequestId>{responses.new_uuid()}</RequestId></ErrorResponse>"
        )
        return Response(fault.status, body.encode(), (("Content-Type", "text/xml"),))


def _is_assume_role(request: Request) -> bool:
    is_form = request.headers.get("content-type", "").startswith(FORM)
    return request.service == "sts" and is_form and b"Action=AssumeRole&" in request.body + b"&"
