"""The cloud in one process: `python -m tests.cloud serve`. process.py runs it in the background."""

import asyncio
import os
import signal
import socket
import tempfile
from pathlib import Path

from tests.cloud.endpoints import CHILD

# What the host's environment may pass on. ministack reads dozens of settings and the AWS SDK reads more; none of a
# developer's own must change what a test sees.
_KEPT = ("PATH", "HOME", "VIRTUAL_ENV", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


def serve(port: int, directory: Path, ready: int | None) -> None:
    """Serve on loopback until SIGTERM or SIGINT. The port is written to the descriptor `ready` once all is up."""
    # ministack calls itself and answers CloudFormation by port, so the port must be known before it is imported.
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    # Readiness is told when the application has started, which is before hypercorn listens: whoever connects in
    # between waits in the queue instead of being refused.
    listener.listen()
    port = listener.getsockname()[1]
    _environment(port, directory)
    asyncio.run(_serve(listener, f"http://127.0.0.1:{port}", directory, ready))


def _environment(port: int, directory: Path) -> None:
    scratch = directory / "tmp"
    scratch.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    os.environ.update(
        {
            "AUTH": "true",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": "127.0.0.1",
            # Whose user pools are found by who signs in to one, which takes no credentials.
            "MINISTACK_ACCOUNT_ID": CHILD,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            # Listeners of services that nothing here uses.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LAMBDA_EXECUTOR": "local",
            "TMPDIR": str(scratch),
        }
    )
    tempfile.tempdir = None


async def _serve(listener: socket.socket, origin: str, directory: Path, ready: int | None) -> None:
    # Imported only now: ministack reads its settings while it is imported.
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack.core import lambda_runtime

    from tests.cloud import (
        alarms,
        authorization,
        custom_resources,
        gateway,
        iam_calls,
        lost_answers,
        session_attributes,
        stacks,
        user_names,
        workers,
    )
    from tests.cloud.app import App
    from tests.cloud.async_inference import Jobs
    from tests.cloud.calls import Record
    from tests.cloud.canaries import Canaries
    from tests.cloud.containers import Containers
    from tests.cloud.control import Control
    from tests.cloud.endpoints import Endpoints
    from tests.cloud.request import Message, Receive, Scope, Send
    from tests.cloud.runtime import Runtime
    from tests.cloud.sts_faults import StsFaults

    canaries = Canaries(directory)
    workers.install(directory, origin, canaries)
    alarms.install()
    gateway.install()
    authorization.install()
    iam_calls.install()
    user_names.install()
    session_attributes.install()
    custom_resources.install(canaries)
    stacks.install()
    lost_answers.install()
    containers, endpoints, record, sts_faults = Containers(directory), Endpoints(), Record(), StsFaults()
    jobs = Jobs(origin, containers)
    runtime = Runtime(endpoints, containers, record, jobs)
    app = App(record, runtime, sts_faults, Control(record, endpoints, sts_faults, directory), canaries)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        async def noticing_startup(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete" and ready is not None:
                os.write(ready, f"{listener.getsockname()[1]}\n".encode())
                os.close(ready)

        await app(scope, receive, noticing_startup if scope["type"] == "lifespan" else send)

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    try:
        await asyncio.to_thread(containers.await_ready)
        await hypercorn_serve(application, config, shutdown_trigger=stop.wait)  # type: ignore[arg-type]
    finally:
        lambda_runtime.reset()
        jobs.stop()
        containers.stop()
