"""`python -m tests.cloud up | down | status`: the local cloud in the background."""

import argparse
import sys
from pathlib import Path

from tests.cloud import process, server


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cloud", description=__doc__)
    parser.add_argument("command", choices=("up", "down", "status", "serve"))
    parser.add_argument("--port", type=int, default=process.PORT, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--directory", type=Path, default=process.DIRECTORY, help="logs and state")
    parser.add_argument("--ready-fd", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    directory = options.directory.resolve()
    try:
        match options.command:
            case "up":
                running = process.start(options.port, directory)
                print(f"the local cloud answers on {running.url} (pid {running.pid}), logs in {directory}")
            case "down":
                print("stopped" if process.stop(directory) else "no local cloud runs")
            case "status":
                running = process.status(directory)
                print(f"runs on {running.url} (pid {running.pid})" if running else "no local cloud runs")
                return 0 if running else 1
            case "serve":
                server.serve(options.port, directory, options.ready_fd)
    except process.CloudError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
