"""What tests and the demo may ask of the cloud and set in it, under /_cloud/. Loopback only, like everything here."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.cloud.calls import Record
from tests.cloud.endpoints import Endpoint, Endpoints, Fault
from tests.cloud.request import Request, Response
from tests.cloud.sts_faults import StsFaults
from tests.cloud.workers import log_file

PREFIX = "/_cloud/"


@dataclass(frozen=True)
class Control:
    record: Record
    endpoints: Endpoints
    sts_faults: StsFaults
    logs: Path

    def answer(self, request: Request) -> Response:
        match request.method, request.path.removeprefix(PREFIX).split("/"):
            case "GET", ["status"]:
                return _json({"pid": os.getpid()})
            case "GET", ["record", "last"]:
                return _json(self.record.last)
            case "GET", ["record", "after", seq]:
                return _json(self.record.since(int(seq)))
            case "GET", ["logs", account, function]:
                file = log_file(self.logs, account, function)
                return Response(200, file.read_bytes() if file.exists() else b"")
            case "GET", ["endpoints"]:
                return _json([asdict(endpoint) for endpoint in self.endpoints.all()])
            case "PUT", ["endpoints"]:
                self.endpoints.put(Endpoint.of(json.loads(request.body)))
                return _json({})
            case "PUT", ["sts-fault"]:
                fault = json.loads(request.body)
                self.sts_faults.fault = fault and Fault(**fault)
                return _json({})
            case _:
                return Response(404, b"no such control")


def _json(value: object) -> Response:
    return Response(200, json.dumps(value).encode(), (("Content-Type", "application/json"),))
