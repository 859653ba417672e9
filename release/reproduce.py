"""`make reproduce`: package this tree here and in another folder, and compare what came out, byte by byte.

The other build has its own target folder, its own name for Cargo's folder and its own cache for zig, so that a path of
any of them in a function would show. It compiles everything again, which takes as long as the first build ever.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from release.package import DIST, ROOT, SUMS


def copy(tree: Path) -> None:
    """Every file that git tracks or would track, as it stands here."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())


def build(tree: Path, **environment: str) -> dict[str, str]:
    """`make package` there; the hashes of its files."""
    tools = Path(sys.prefix)
    subprocess.run(
        # -o: the tools are not installed again because this copy of their list is younger.
        ["make", "package", f"VENV={tools}", "-o", tools / ".ready"],
        cwd=tree,
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    lines = (tree / DIST.name / SUMS).read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def main() -> int:
    here = build(ROOT)
    with tempfile.TemporaryDirectory(prefix="somewhere-else-", dir=os.environ.get("TMPDIR", "/tmp")) as folder:
        tree, cargo = Path(folder) / "tree", Path(folder) / "cargo"
        cargo.symlink_to(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
        copy(tree)
        there = build(tree, CARGO_HOME=str(cargo), XDG_CACHE_HOME=str(Path(folder) / "cache"))
    for name in sorted(here | there):
        same = here.get(name) == there.get(name)
        print(f"{'same' if same else 'DIFFERS':7} {here.get(name, 'absent')}  {name}")
    print("reproducible" if here == there else "not reproducible")
    return 0 if here == there else 1


if __name__ == "__main__":
    sys.exit(main())
