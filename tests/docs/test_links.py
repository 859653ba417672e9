"""Every link in every Markdown file that leads to a place in this project leads somewhere, anchors included."""

import re
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.template.expansion import ROOT

FENCE = re.compile(r"^(```+|~~~+).*?^\1\s*$", re.M | re.S)
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.S)
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.M)


def pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def links(text: str) -> list[str]:
    return LINK.findall(CODE.sub("", FENCE.sub("", text)))


@cache
def anchors(page: Path) -> frozenset[str]:
    """As GitHub makes them: lower case, no punctuation, hyphens for spaces, the second of a name numbered."""
    found: dict[str, int] = {}
    for heading in HEADING.findall(FENCE.sub("", page.read_text())):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        base = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        number = found.get(base, 0)
        found[base] = number + 1
        if number:
            found[f"{base}-{number}"] = 1
    return frozenset(found)


def broken(page: Path, link: str) -> str | None:
    """What is wrong with a link, if anything. Links to other sites are not followed."""
    if re.match(r"[a-z][a-z0-9+.-]*:", link):
        return None
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(ROOT):
        return "leads out of the project"
    if not target.exists():
        return "there is no such file"
    if anchor and (target.suffix != ".md" or anchor not in anchors(target)):
        return "there is no such heading"
    return None


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    wrong = {link: why for link in links(page.read_text()) if (why := broken(page, link))}
    assert wrong == {}


def test_every_page_of_the_documentation_can_be_found_from_the_readme():
    seen, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page not in seen and page.suffix == ".md" and page.exists():
            seen.add(page)
            left += [(page.parent / link.partition("#")[0]).resolve() for link in links(page.read_text())]
    wanted = {page for page in pages() if page.is_relative_to(ROOT / "docs") or page.is_relative_to(ROOT / "examples")}
    assert wanted <= seen, sorted(map(str, wanted - seen))


def test_a_broken_link_is_found():
    page = ROOT / "README.md"
    assert links("[a](x.md) `[b](y.md)` [c `d`](z.md#e)\n```\n[f](g.md)\n```\n![h](i.svg)") == [
        "x.md",
        "z.md#e",
        "i.svg",
    ]
    assert broken(page, "docs/no-such-page.md") == "there is no such file"
    assert broken(page, "docs/parameters.md#no-such-heading") == "there is no such heading"
    assert broken(page, "../elsewhere.md") == "leads out of the project"
    assert broken(page, "docs/parameters.md#outputs") is None
