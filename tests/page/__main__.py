"""`python -m tests.page serve`: what `make up` starts beside the local cloud."""

import argparse
import os
import signal
import threading
from pathlib import Path

from tests.page import server
from tests.page.actions import Actions, Deployed
from tests.page.background import deployed_file


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.page", description=__doc__)
    parser.add_argument("command", choices=("serve",))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--ready-fd", type=int, required=True)
    options = parser.parse_args()
    page = server.make(options.port, Actions(Deployed.of_json(deployed_file(options.directory).read_text())))
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown waits for the loop, which is in this thread.
        signal.signal(number, lambda *_: threading.Thread(target=page.shutdown).start())
    os.write(options.ready_fd, f"{page.server_address[1]}\n".encode())
    os.close(options.ready_fd)
    page.serve_forever()


if __name__ == "__main__":
    main()
