"""`python -m release.version [--tag TAG]`: the version, which Cargo.toml says for everything; and a release's notes.

With a tag it is checked that this tree is that release, and the changelog's section on it is printed: the release
workflow makes the release's text of it.
"""

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# https://semver.org, without build metadata: no part of this project has any.
SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?")
_SECTION = re.compile(r"^## \[(?P<name>[^\]]+)\].*\n(?P<text>(?:(?!^## \[).*\n?)*)", re.MULTILINE)


class NotReleased(Exception):
    """The tree is not the release that the tag says; the text says what to do."""


def of_workspace() -> str:
    return tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def sections(changelog: str) -> dict[str, str]:
    """The changelog's sections by name (a version, or "Unreleased"), newest first, without their headings."""
    return {match["name"]: match["text"].strip() for match in _SECTION.finditer(changelog)}


def notes(tag: str, version: str, changelog: str) -> str:
    """The changelog's section on the release with this tag. Raises NotReleased."""
    if tag != f"v{version}":
        raise NotReleased(f"the tag is {tag}, but Cargo.toml says {version}: tag it v{version}, or change the version")
    found = sections(changelog)
    if not found.get(version):
        raise NotReleased(f"CHANGELOG.md has nothing under [{version}]: put what stands under [Unreleased] there")
    if found.get("Unreleased"):
        raise NotReleased(f"CHANGELOG.md still has something under [Unreleased]: put it under [{version}]")
    return found[version]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m release.version", description=__doc__)
    parser.add_argument("--tag", help="the release's tag, such as v1.2.3")
    tag = parser.parse_args().tag
    try:
        version = of_workspace()
        print(notes(tag, version, (ROOT / "CHANGELOG.md").read_text()) if tag else version)
    except NotReleased as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
