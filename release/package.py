"""`make package`: what a release hands out, in dist/, from the functions that `make build` made.

A zip of each function, the template that deploys them as it stands (no source, no build), what goes with it, and
SHA256SUMS over all. The same functions give the same bytes: no time, owner or path of this machine gets in.
"""

import argparse
import hashlib
import io
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable
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
    """Fill the folder, which may hold the package of the other architecture; its files, sums last.

    The tree's functions are those that it has built, if no other folder is named. Raises CannotPackage.
    """
    built = built or tree / BUILT
    into.mkdir(parents=True, exist_ok=True)
    for function in FUNCTIONS:
        binary = _binary(function, architecture, built)
        (into / archive(function, architecture)).write_bytes(zipped(binary))
    (into / f"template-{architecture}.yaml").write_text(packaged((tree / "template.yaml").read_text(), architecture))
    for name in ALONGSIDE:
        shutil.copyfile(tree / name, into / name)
    return summed(into)


def collect(packages: Iterable[Path], into: Path) -> list[Path]:
    """One folder of the packages of several architectures; its files, sums last. Raises CannotPackage."""
    into.mkdir(parents=True, exist_ok=True)
    for folder in packages:
        for line in (folder / SUMS).read_text().splitlines():
            digest, name = line.split("  ")
            content = (folder / name).read_bytes()
            if _digest(content) != digest:
                raise CannotPackage(f"{folder / name} is not what {folder / SUMS} says")
            if (into / name).exists() and (into / name).read_bytes() != content:
                raise CannotPackage(f"{folder / name} is not the same in every package")
            (into / name).write_bytes(content)
    return summed(into)


def summed(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.name != SUMS)
    sums = folder / SUMS
    sums.write_text("".join(f"{_digest(file.read_bytes())}  {file.name}\n" for file in files))
    return [*files, sums]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(function: str, architecture: str) -> str:
    return f"{function}-{architecture}.zip"


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
