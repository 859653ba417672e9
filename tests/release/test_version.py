"""One version, everywhere: Cargo.toml says it, and what else shows it agrees."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from release import version
from release.version import ROOT, SEMANTIC, NotReleased
from tests.template.expansion import source

NOW = version.of_workspace()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def test_every_crate_has_the_workspaces_version():
    metadata = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--no-deps", "--format-version=1", "--locked"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    )
    shipped = {
        package["name"]: package["version"]
        for package in metadata["packages"]
        if Path(package["manifest_path"]).relative_to(ROOT).parts[0] not in ("tests", "fuzz")
    }
    assert shipped == dict.fromkeys(("invoker", "provisioner", "sagemaker-external"), NOW)


def test_the_template_and_the_api_document_say_the_same_version():
    assert SEMANTIC.fullmatch(NOW)
    assert source()["Metadata"]["AWS::ServerlessRepo::Application"]["SemanticVersion"] == NOW
    assert source()["Outputs"]["Version"]["Value"] == NOW
    assert yaml.safe_load((ROOT / "openapi.yaml").read_text())["info"]["version"] == NOW


def test_the_changelog_ends_with_this_version_or_goes_on_from_an_older_one():
    found = version.sections(CHANGELOG)
    released = [name for name in found if name != "Unreleased"]
    assert all(SEMANTIC.fullmatch(name) for name in released)
    if found.get("Unreleased"):
        assert released[:1] == [] or _order(released[0]) <= _order(NOW)
    else:
        assert released[0] == NOW


def _order(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.partition("-")[0].split(".")))


def test_the_licence_is_one():
    repository = source()["Metadata"]["AWS::ServerlessRepo::Application"]
    document = yaml.safe_load((ROOT / "openapi.yaml").read_text())
    assert 'license = "Apache-2.0"' in (ROOT / "Cargo.toml").read_text()
    assert repository["SpdxLicenseId"] == document["info"]["license"]["identifier"] == "Apache-2.0"


def test_what_the_application_repository_is_told_keeps_its_rules():
    """https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/ "Metadata section properties"."""
    told = source()["Metadata"]["AWS::ServerlessRepo::Application"]
    assert re.fullmatch(r"[a-zA-Z0-9\-]{1,140}", told["Name"])
    assert re.fullmatch(r"[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?", told["Author"])
    assert 0 < len(told["Description"]) <= 256
    assert 0 < len(told["Labels"]) <= 10
    assert all(re.fullmatch(r"[a-zA-Z0-9+\-_:/@]{1,127}", label) for label in told["Labels"])
    for name in ("LicenseUrl", "ReadmeUrl"):
        assert (ROOT / told[name]).is_file()


MORE = "## [Unreleased]\n\n- More.\n"
RELEASED = "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-01-02\n\n- New.\n\n## [1.1.0] - 2026-01-01\n\n- Old.\n"


def test_a_releases_notes_are_its_section_of_the_changelog():
    assert version.notes("v1.2.0", "1.2.0", RELEASED) == "- New."


@pytest.mark.parametrize(
    ("tag", "now", "changelog", "says"),
    [
        ("v1.2.1", "1.2.0", RELEASED, "Cargo.toml says 1.2.0"),
        ("1.2.0", "1.2.0", RELEASED, "tag it v1.2.0"),
        ("v1.3.0", "1.3.0", RELEASED, r"nothing under \[1.3.0\]"),
        ("v1.2.0", "1.2.0", RELEASED.replace("## [Unreleased]\n", MORE), r"still .* \[Unreleased\]"),
    ],
)
def test_a_tag_that_is_not_this_tree_is_no_release(tag: str, now: str, changelog: str, says: str):
    with pytest.raises(NotReleased, match=says):
        version.notes(tag, now, changelog)
