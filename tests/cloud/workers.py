"""What a Lambda execution environment gives a function, where ministack's own differs.

- The environment variables are Lambda's, the function's own and two of this cloud's, not the host's.
- An environment that is answering when its function is updated or deleted answers first; ministack would break it off.
- A streamed answer stays bytes, and goes on to API Gateway as it comes; ministack would read it whole, as UTF-8 text.
- Everything that a function prints goes to a file as well, so that it can be read while the function runs and after its
  stack, with its log group, is gone.
"""

import queue
import re
import threading
from collections.abc import Iterator
from http.client import parse_headers
from pathlib import Path
from typing import IO, Any

from ministack.core import lambda_runtime
from ministack.core.lambda_runtime import ProvidedWorker
from ministack.services import lambda_svc

from tests.cloud import streams
from tests.cloud.canaries import Canaries

# The names that ministack sets and that Lambda documents.
_LAMBDA_VARIABLES = frozenset(
    {
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_DEFAULT_REGION",
        "AWS_REGION",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "LAMBDA_TASK_ROOT",
        "_HANDLER",
    }
)
_FIXED = {"LANG": "en_US.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin", "TZ": ":UTC"}
_RESPONSE = re.compile(r"/runtime/invocation/([^/]+)/response/?$")


class StreamedAnswer(bytes):
    """What a function streamed: metadata as JSON, eight NUL bytes, the body. Empty when it went on as it came."""


def log_file(logs: Path, account: str, function: str) -> Path:
    return logs / f"function-{account}-{function}.log"


def install(logs: Path, origin: str, canaries: Canaries) -> None:
    """Put the differences in place. `origin` is this cloud's own address."""
    _clean_environment(origin, canaries)
    _let_finish()
    _stream_answers()
    _copy_output(logs)


def _clean_environment(origin: str, canaries: Canaries) -> None:
    original = lambda_svc._provided_worker_env

    def worker_environment(config: dict[str, Any], code_dir: str, port: int) -> dict[str, str]:
        own = (config.get("Environment") or {}).get("Variables") or {}
        full = original(config, code_dir, port)
        canaries.of_environment(full)
        kept = {name: value for name, value in full.items() if name in _LAMBDA_VARIABLES or name in own}
        return {
            **_FIXED,
            **kept,
            **_logging(config.get("LoggingConfig") or {}),
            "AWS_ENDPOINT_URL": origin,
            # CloudFormation's ResponseURL is https on a known host, and the provisioner accepts no other. Here it is
            # plain http on loopback: this variable, which stands in no template, names the one origin to accept.
            "RESPONSE_URL_ORIGIN": origin,
        }

    lambda_svc._provided_worker_env = worker_environment


def _logging(config: dict[str, str]) -> dict[str, str]:
    """What a function's LoggingConfig becomes in its environment; ministack leaves it out."""
    variables = {
        "AWS_LAMBDA_LOG_FORMAT": config.get("LogFormat"),
        "AWS_LAMBDA_LOG_GROUP_NAME": config.get("LogGroup"),
        "AWS_LAMBDA_LOG_LEVEL": config.get("ApplicationLogLevel"),
    }
    return {name: value for name, value in variables.items() if value}


def _let_finish() -> None:
    original = lambda_svc.invalidate_worker

    def invalidate_worker(name: str, qualifier: str | None = None, **of: str) -> None:
        wanted = {"name": name, "qualifier": qualifier, **of}
        busy = []
        with lambda_runtime._lock:
            for key, workers in lambda_runtime._workers.items():
                found = dict(zip(("account", "region", "name", "qualifier"), key.split(":"), strict=True))
                if all(value is None or found[part] == value for part, value in wanted.items()):
                    busy += [worker for worker in workers if worker.in_use]
                    workers[:] = [worker for worker in workers if not worker.in_use]
        for worker in busy:
            threading.Thread(target=_kill_when_done, args=(worker,), daemon=True).start()
        original(name, qualifier, **of)

    lambda_svc.invalidate_worker = invalidate_worker


def _kill_when_done(worker: ProvidedWorker) -> None:
    # Held while it answers. Nobody else is given this worker any more.
    with worker._lock:
        lambda_runtime.kill_workers([worker])


def _stream_answers() -> None:
    _note_events()
    original = ProvidedWorker._build_handler_class

    def build_handler_class(worker: ProvidedWorker, generation: int, pending: queue.Queue) -> type:
        base = original(worker, generation, pending)

        class Handler(base):  # type: ignore[misc, valid-type]
            def _chunks(self) -> Iterator[bytes]:
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()

            def do_POST(self) -> None:
                response = _RESPONSE.search(self.path)
                mode = self.headers.get("Lambda-Runtime-Function-Response-Mode", "")
                if response is None or mode.lower() != "streaming":
                    super().do_POST()
                    return
                kept, stream = [], streams.of_event(worker.event)
                broken: str | None = "Runtime.ExitError"
                try:
                    for chunk in self._chunks():
                        if stream:
                            stream.put(chunk)
                        else:
                            kept.append(chunk)
                    # The trailers, which ministack would take for the next request.
                    broken = parse_headers(self.rfile).get("Lambda-Runtime-Function-Error-Type")
                except ValueError:
                    # The connection ended within the answer: so did the process.
                    self.close_connection = True
                if stream:
                    stream.end(broken=broken is not None)
                kind, answer = (
                    ("error", {"errorType": broken}) if broken else ("response", StreamedAnswer(b"".join(kept)))
                )
                accepted = worker._record_result(generation, response[1], kind, answer)
                self._respond(202 if accepted else 400)

        return Handler

    ProvidedWorker._build_handler_class = build_handler_class


def _note_events() -> None:
    """A worker has one event at a time: `event` is the one that it is answering."""
    original = ProvidedWorker.invoke

    def invoke(worker: ProvidedWorker, event: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        worker.event = event
        return original(worker, event, *args, **kwargs)

    ProvidedWorker.invoke = invoke


def _copy_output(logs: Path) -> None:
    original = ProvidedWorker._pump_output

    def pump_output(worker: ProvidedWorker, stream: IO[bytes], log_queue: queue.Queue) -> None:
        account = worker.config["FunctionArn"].split(":")[4]
        with log_file(logs, account, worker.func_name).open("ab", buffering=0) as copy:
            original(worker, _Copied(stream, copy), log_queue)

    ProvidedWorker._pump_output = pump_output


class _Copied:
    """A stream that writes each line it reads to a second place."""

    def __init__(self, stream: IO[bytes], copy: IO[bytes]) -> None:
        self._stream = stream
        self._copy = copy

    def readline(self) -> bytes:
        line = self._stream.readline()
        self._copy.write(line)
        return line

    def close(self) -> None:
        self._stream.close()
