"""A headless Chromium for the page's test: the one that CHROMIUM names, or a pinned one from the npm registry.

The package is Chromium's headless shell with the libraries and the font that it needs, made for Lambda; it is kept
compressed with Brotli, which Node.js reads. Nothing of it is run but the browser.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.deploy import ROOT

PACKAGE, VERSION = "@sparticuz/chromium", "153.0.0"
# The registry's own integrity value of that version's archive: sha512, in base64.
INTEGRITY = "jiGWqSvPMdu4+P9TilYqAR7yEGPEHINx+lCvE/NqNO/EHYzF/x1hUiI5T6ioVIt7dEy7n88byyT0vk+dnsgQwA=="
DIRECTORY = ROOT / "target" / "browser" / VERSION
_DECOMPRESS = """
const fs = require("fs"), zlib = require("zlib");
for (const name of ["chromium", "al2023.tar", "fonts.tar"])
  fs.writeFileSync(name, zlib.brotliDecompressSync(fs.readFileSync(`package/bin/${name}.br`)));
"""


class NoBrowser(Exception):
    """There is none and none can be installed; the text says what would help."""


def find() -> tuple[Path, dict[str, str]]:
    """The browser and the environment that it needs. Raises NoBrowser."""
    if given := os.environ.get("CHROMIUM"):
        return Path(given), {}
    browser = DIRECTORY / "chromium"
    if not browser.exists():
        _install()
    return browser, {"LD_LIBRARY_PATH": str(DIRECTORY / "lib"), "FONTCONFIG_FILE": str(DIRECTORY / "fonts.conf")}


def _install() -> None:
    if not shutil.which("npm") or not shutil.which("node"):
        raise NoBrowser("no browser: install npm (which fetches one), or name a Chromium in the variable CHROMIUM")
    work = DIRECTORY.with_name(f"{DIRECTORY.name}.partial")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    fetched = subprocess.run(
        ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=work, capture_output=True, text=True
    )
    if fetched.returncode != 0:
        raise NoBrowser(f"no browser: npm could not fetch {PACKAGE}: {fetched.stderr.strip()}")
    archive = work / fetched.stdout.strip().splitlines()[-1]
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != INTEGRITY:
        raise AssertionError(f"{archive.name} is not the pinned one: sha512-{digest}")
    _extract(archive, work)
    archive.unlink()
    subprocess.run(["node", "-e", _DECOMPRESS], cwd=work, check=True)
    for name in ("al2023.tar", "fonts.tar"):
        _extract(work / name, work)
        (work / name).unlink()
    shutil.rmtree(work / "package")
    (work / "chromium").chmod(0o755)
    # The package's own names Lambda's folders.
    folders = f"<dir>{DIRECTORY}/fonts</dir><cachedir>{DIRECTORY}/cache</cachedir>"
    (work / "fonts.conf").write_text(f"<?xml version='1.0'?><fontconfig>{folders}</fontconfig>\n")
    work.rename(DIRECTORY)


def _extract(archive: Path, into: Path) -> None:
    with tarfile.open(archive) as opened:
        opened.extractall(into, filter="data")
