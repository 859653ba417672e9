"""`make package`: what a release hands out, in dist/, from the functions that `make build` made.

A zip of each function, the template that deploys them as it stands (no source, no build), what goes with it, and
SHA256SUMS over all of it, and over nothing else that lies there. The same functions give the same bytes: no time, owner
or path of this machine gets in. Of the zips that holds under one zlib: another version of it, or
another implementation behind Python's zipfile, may compress the same function to other bytes.
"""

import argparse
import hashlib
import io
import re
import sys
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Where `sam build` puts what it builds, within a tree.
BUILT = Path(".aws-sam") / "build"
DIST = ROOT / "dist"
FUNCTIONS = ("provisioner", "invoker")
ARCHITECTURES = ("x86_64", "arm64")
SUMS = "SHA256SUMS"
# Copied as they are. The template's metadata names LICENSE and README.md, which a deployment uploads with it.
ALONGSIDE = ("CHANGELOG.md", "LICENSE", "README.md", "openapi.yaml", "samconfig.toml")
# e_machine of an ELF file's header, at offset 18.
_MACHINES = {"x86_64": 62, "arm64": 183}
# The earliest that a zip can say.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


class CannotPackage(Exception):
    """Something is not as the package needs it; the text says what."""


def package(architecture: str, into: Path, tree: Path = ROOT, built: Path | None = None) -> list[Path]:
    """Make the folder's package this one, of one architecture (`collect` makes one of several); its files, sums last.

    The tree's functions are those that it has built, if no other folder is named. Raises CannotPackage.
    """
    built = built or tree / BUILT
    contents = {
        archive(function, architecture): zipped(_binary(function, architecture, built)) for function in FUNCTIONS
    }
    template = (tree / "template.yaml").read_text("utf-8")
    contents[template_of(architecture)] = packaged(template, architecture).encode()
    contents |= {name: (tree / name).read_bytes() for name in ALONGSIDE}
    return written(contents, into)


def collect(packages: Iterable[Path], into: Path) -> list[Path]:
    """One folder of the packages of several architectures; its files, sums last. Raises CannotPackage."""
    contents: dict[str, bytes] = {}
    for folder in packages:
        for line in (folder / SUMS).read_text().splitlines():
            digest, name = line.split("  ")
            content = (folder / name).read_bytes()
            if _digest(content) != digest:
                raise CannotPackage(f"{folder / name} is not what {folder / SUMS} says")
            if contents.setdefault(name, content) != content:
                raise CannotPackage(f"{folder / name} is not the same in every package")
    return written(contents, into)


def written(contents: Mapping[str, bytes], into: Path) -> list[Path]:
    """Put these files there, and sums over them alone; the files, sums last.

    What an earlier package left there goes, by the names that packages have; whatever else lies there stays as it is.
    """
    into.mkdir(parents=True, exist_ok=True)
    for architecture in ARCHITECTURES:
        for name in (template_of(architecture), *(archive(function, architecture) for function in FUNCTIONS)):
            (into / name).unlink(missing_ok=True)
    names = sorted(contents)
    for name in names:
        (into / name).write_bytes(contents[name])
    sums = into / SUMS
    sums.write_text("".join(f"{_digest(contents[name])}  {name}\n" for name in names))
    return [*(into / name for name in names), sums]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(function: str, architecture: str) -> str:
    return f"{function}-{architecture}.zip"


def template_of(architecture: str) -> str:
    return f"template-{architecture}.yaml"


def packaged(template: str, architecture: str) -> str:
    """The template with each function's code in a zip beside it, for this architecture alone."""
    for function in FUNCTIONS:
        template = _replace(
            template,
            rf"    Metadata:\n      BuildMethod: rust-cargolambda\n      BuildProperties: {{ Binary: {function} }}\n"
            r"(?P<between>    Properties:\n(?:      .*\n)*?)      CodeUri: \.\n",
            rf"\g<between>      CodeUri: {archive(function, architecture)}\n",
        )
    return _replace(
        template,
        r"(  Architecture:\n    Type: String\n).*\n.*\n.*\n",
        rf"\g<1>    Default: {architecture}\n    AllowedValues: [{architecture}]\n"
        rf"    Description: Architecture of both functions; this package is for {architecture}.\n",
    )


def _replace(text: str, pattern: str, by: str) -> str:
    text, count = re.subn(pattern, by, text)
    if count != 1:
        raise CannotPackage(f"template.yaml is not written as release/package.py expects: {count} times {pattern!r}")
    return text


def _binary(function: str, architecture: str, built: Path) -> bytes:
    file = built / f"{function.capitalize()}Function" / "bootstrap"
    try:
        binary = file.read_bytes()
    except FileNotFoundError:
        raise CannotPackage(f"{file} does not exist, run `make build` first") from None
    machine = int.from_bytes(binary[18:20], "little")
    if binary[:4] != b"\x7fELF" or machine != _MACHINES[architecture]:
        raise CannotPackage(f"{file} is not built for {architecture}, run `make build ARCHITECTURE={architecture}`")
    return binary


def zipped(binary: bytes) -> bytes:
    """A deployment package: the one file that Lambda starts."""
    entry = zipfile.ZipInfo("bootstrap", _TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = _UNIX
    entry.external_attr = 0o100755 << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        written.writestr(entry, binary, compresslevel=9)
    return file.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m release.package", description=__doc__)
    parser.add_argument("--architecture", choices=ARCHITECTURES, default=ARCHITECTURES[0])
    parser.add_argument("--into", type=Path, default=DIST)
    parser.add_argument("--collect", type=Path, nargs="+", metavar="FOLDER", help="packages that become one")
    options = parser.parse_args()
    try:
        if options.collect:
            files = collect(options.collect, options.into)
        else:
            files = package(options.architecture, options.into)
    except CannotPackage as error:
        print(error, file=sys.stderr)
        return 1
    print(files[-1].read_text(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
