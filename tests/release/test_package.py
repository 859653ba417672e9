"""What `make package` makes of the functions that `make build` built: the same bytes each time, and no trace of where.

That two builds are the same is `make reproduce`.
"""

import hashlib
import io
import os
import re
import stat
import subprocess
import zipfile
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from release import package
from release.package import FUNCTIONS, ROOT, SUMS, CannotPackage

X86_64 = "x86_64"
BUILT = ROOT / package.BUILT


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one") / "dist"
    package.package(X86_64, folder)
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_the_same_functions_give_the_same_bytes_in_another_folder_and_later(dist: Path, tmp_path: Path):
    later = tmp_path / "built"
    for function in FUNCTIONS:
        folder = later / f"{function.capitalize()}Function"
        folder.mkdir(parents=True)
        binary = folder / "bootstrap"
        binary.write_bytes((BUILT / folder.name / "bootstrap").read_bytes())
        binary.chmod(0o700)
        os.utime(binary, (2_000_000_000, 2_000_000_000))
    package.package(X86_64, tmp_path / "dist", built=later)
    assert contents(tmp_path / "dist") == contents(dist)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_functions_hold_no_path_of_this_machine(function: str):
    binary = (BUILT / f"{function.capitalize()}Function" / "bootstrap").read_bytes()
    cargo = os.environ.get("CARGO_HOME", str(Path.home() / ".cargo"))
    for path in {str(ROOT), str(Path.home()), cargo}:
        # The home folder of some build machines is no more than a slash.
        if path != "/":
            found = re.search(rb"[\x20-\x7e]*" + re.escape(f"{path}/".encode()) + rb"[\x20-\x7e]*", binary)
            assert found is None, f"built with `sam build`? `make build` leaves {path} out: {found[0][-200:]!r}"
    assert b"/cargo/registry/" in binary, "the paths that panics name are in there, under their other name"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_zip_holds_the_one_file_that_lambda_starts(dist: Path, function: str):
    with zipfile.ZipFile(dist / package.archive(function, X86_64)) as archive:
        (entry,) = archive.infolist()
        assert archive.read(entry) == (BUILT / f"{function.capitalize()}Function" / "bootstrap").read_bytes()
    assert entry.filename == "bootstrap"
    assert stat.S_IMODE(entry.external_attr >> 16) == 0o755
    assert entry.date_time == (1980, 1, 1, 0, 0, 0)


def test_the_checksums_are_over_all_and_in_sha256sums_own_form(dist: Path):
    said = subprocess.run(
        ["sha256sum", "--check", "--strict", SUMS], cwd=dist, capture_output=True, text=True, check=True
    )
    names = {line.removesuffix(": OK") for line in said.stdout.splitlines()}
    assert names == {file.name for file in dist.iterdir()} - {SUMS}
    assert names >= {"provisioner-x86_64.zip", "invoker-x86_64.zip", "template-x86_64.yaml", "LICENSE", "README.md"}


@pytest.mark.parametrize("architecture", package.ARCHITECTURES)
def test_the_packaged_template_is_the_template_but_for_the_code(architecture: str):
    ours = yaml_parse((ROOT / "template.yaml").read_text())
    packaged = yaml_parse(package.packaged((ROOT / "template.yaml").read_text(), architecture))
    for function in FUNCTIONS:
        name = f"{function.capitalize()}Function"
        made, built = packaged["Resources"][name], ours["Resources"][name]
        assert "Metadata" not in made, "sam would build it"
        assert made["Properties"].pop("CodeUri") == f"{function}-{architecture}.zip"
        assert built["Properties"].pop("CodeUri") == "."
        del built["Metadata"]
    parameter = packaged["Parameters"].pop("Architecture")
    assert (parameter["Default"], parameter["AllowedValues"]) == (architecture, [architecture])
    del ours["Parameters"]["Architecture"]
    assert packaged == ours


def test_functions_of_another_architecture_are_not_packaged(tmp_path: Path):
    with pytest.raises(CannotPackage, match="make build ARCHITECTURE=arm64"):
        package.package("arm64", tmp_path)


def test_a_template_that_is_written_otherwise_is_not_packaged():
    with pytest.raises(CannotPackage, match=r"template\.yaml is not written as"):
        package.packaged((ROOT / "template.yaml").read_text().replace("CodeUri: .\n", "CodeUri: ./\n"), X86_64)


def fake(folder: Path, architecture: str, readme: str = "one") -> Path:
    package.written({f"invoker-{architecture}.zip": architecture.encode(), "README.md": readme.encode()}, folder)
    return folder


def test_packages_of_two_architectures_become_one(tmp_path: Path):
    packages = [fake(tmp_path / name, name) for name in ("x86_64", "arm64")]
    files = package.collect(packages, tmp_path / "dist")
    assert [file.name for file in files] == ["README.md", "invoker-arm64.zip", "invoker-x86_64.zip", SUMS]
    assert len(files[-1].read_text().splitlines()) == 3


def test_nothing_of_an_earlier_package_is_in_a_package_and_what_is_not_of_packages_stays(tmp_path: Path):
    dist = fake(tmp_path / "dist", "arm64", readme="earlier")
    (dist / "notes.txt").write_text("somebody's own")
    (dist / "own.zip").write_text("somebody's own")
    files = package.collect([fake(tmp_path / "now", "x86_64")], dist)
    assert [file.name for file in files] == ["README.md", "invoker-x86_64.zip", SUMS]
    assert {file.name for file in dist.iterdir()} == {*(file.name for file in files), "notes.txt", "own.zip"}
    assert [line.split("  ")[1] for line in files[-1].read_text().splitlines()] == ["README.md", "invoker-x86_64.zip"]


def test_packages_are_collected_into_the_folder_of_one_of_them(tmp_path: Path):
    one = fake(tmp_path / "one", "x86_64")
    files = package.collect([one, fake(tmp_path / "two", "arm64")], one)
    assert [file.name for file in files] == ["README.md", "invoker-arm64.zip", "invoker-x86_64.zip", SUMS]


def test_a_package_that_was_changed_or_is_of_another_tree_is_refused(tmp_path: Path):
    one = fake(tmp_path / "one", "x86_64")
    with pytest.raises(CannotPackage, match="not the same in every package"):
        package.collect([one, fake(tmp_path / "two", "arm64", readme="two")], tmp_path / "dist")
    (one / "invoker-x86_64.zip").write_text("another")
    with pytest.raises(CannotPackage, match="is not what"):
        package.collect([one], tmp_path / "again")


def test_a_zip_is_no_larger_than_lambdas_direct_upload():
    # 50 MB, zipped; https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    archive = package.zipped((BUILT / "InvokerFunction" / "bootstrap").read_bytes())
    assert len(archive) < 50_000_000
    assert zipfile.ZipFile(io.BytesIO(archive)).testzip() is None
