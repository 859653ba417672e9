"""`make load`: 64 environments of the packaged invoker at once, with backends that fail in every way (tests/faults).

Run `sam build` first. The same seed asks the same and lets the same go wrong.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from tests import programs

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / ".aws-sam" / "build" / "InvokerFunction" / "bootstrap"
# Of each environment. The few take some twenty seconds, most of which is waiting for deadlines.
REQUESTS, FEW = 400, 12


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"{FEW} requests of each environment, not {REQUESTS}")
    parser.add_argument("--seed", type=int, default=1, help="another one makes another run (1)")
    options = parser.parse_args()
    if not PROGRAM.exists():
        parser.error(f"{PROGRAM.relative_to(ROOT)} is not there: run `sam build` first")
    requests = FEW if options.quick else REQUESTS
    program = programs.build("faults")
    command = (program, "--seed", str(options.seed), "--requests", str(requests), PROGRAM)
    return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
