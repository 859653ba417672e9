"""docs/parameters.md and docs/operations.md against the template: every parameter and output, both ways."""

import re

from tests.template.expansion import ROOT, source

PAGE = (ROOT / "docs" / "parameters.md").read_text()
# The side that makes an output, by its condition.
SIDES = {
    None: "all",
    "MakesRole": "parent, both",
    "MakesApi": "child, both",
    "MakesGroup": "child, both, unless `CreateGroup` is `false`",
    "UsesKeys": "child, both, with `ApiKeyRequired`",
    "HasDashboardUrl": "all, with `CreateDashboard`, in aws, aws-cn, aws-us-gov and aws-eusc",
    "ShowsExternalId": "parent, both; child unless it was given one",
}


def rows(section: str) -> dict[str, list[str]]:
    """The table of a section: the cells behind each name."""
    (text,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    names = [cells[0].strip("`") for cells in table[2:]]
    assert len(set(names)) == len(names)
    return dict(zip(names, (cells[1:] for cells in table[2:]), strict=True))


def test_every_parameter_is_documented_and_no_other():
    assert rows("Parameters").keys() == source()["Parameters"].keys(), "docs/parameters.md and template.yaml differ"


def test_every_default_is_the_documented_one():
    """An empty default means something else each time, which the page says in words."""
    for name, (default, *_) in rows("Parameters").items():
        declared = str(source()["Parameters"][name].get("Default", ""))
        assert default == f"`{declared}`" if declared else "`" not in default, name


def test_every_output_is_documented_and_no_other():
    assert rows("Outputs").keys() == source()["Outputs"].keys(), "docs/parameters.md and template.yaml differ"
    for name, (side, _) in rows("Outputs").items():
        assert side == SIDES[source()["Outputs"][name].get("Condition")], name
