"""Start and stop the page beside the local cloud."""

import os
from pathlib import Path

from tests import people
from tests.cloud import process
from tests.cloud.process import Program, Running
from tests.page.actions import Deployed
from tests.scenes import TESTER
from tests.scenes import Deployed as Pair

PAGE = Program("page", "tests.page", "/api/status", "page.json", "page.log")
PORT = 4567
# A user of the child's account whom nobody put into the group.
OUTSIDER = "bob"


def with_outsider(pair: Pair) -> Deployed:
    outsider = people.user(pair.cloud, pair.child.account, OUTSIDER)
    names = {pair.tester.access_key: TESTER, outsider.access_key: OUTSIDER}
    return Deployed(pair.cloud, pair.parent, pair.child, pair.tester, outsider, names)


def start(deployed: Deployed, port: int = PORT, directory: Path = process.DIRECTORY) -> Running:
    """Port 0 takes a free one. Raises CloudError."""
    directory.mkdir(parents=True, exist_ok=True)
    file = deployed_file(directory)
    # Keys, if only of the local cloud: for its owner to read.
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as written:
        written.write(deployed.to_json())
    return process.start(port, directory, PAGE)


def stop(directory: Path = process.DIRECTORY) -> bool:
    deployed_file(directory).unlink(missing_ok=True)
    return process.stop(directory, PAGE)


def deployed_file(directory: Path) -> Path:
    return directory / "deployed.json"
