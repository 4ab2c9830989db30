"""What the pages name exists: files, functions, other pages. What is published holds no machine's own names."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

_SOURCE = ROOT / "src" / "dirbridge"
_PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
_DECISIONS = sorted(page for page in (DOCS / "decisions").glob("*.md") if page.name != "README.md")

_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
_FILE = re.compile(r"`((?:[a-z_]+/)+[\w.]+\.(?:py|sql))`")
_FUNCTION = re.compile(r"`([A-Za-z_.]+)`\s+in\s+`((?:[a-z_]+/)+[a-z_]+\.py)`")


def _ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", _PAGES, ids=_ids)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of this repository."""
    links = [link for link in _LINK.findall(page.read_text("utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", _PAGES, ids=_ids)
def test_files_and_functions_exist(page: Path) -> None:
    """Files of the source, and "`function` in `file`"."""
    text = page.read_text("utf-8")
    files = _FILE.findall(text)
    assert [file for file in files if not any((root / file).is_file() for root in (_SOURCE, ROOT))] == []
    for function, file in _FUNCTION.findall(text):
        source = (_SOURCE / file).read_text("utf-8")
        name = function.rpartition(".")[2]
        found = re.search(rf"^\s*(?:(?:async )?def|class) {name}\b|^\s*{name}: ", source, re.MULTILINE)
        assert found, f"{page.name} names {function} in {file}, which has none"


def test_decisions_are_numbered_and_of_one_form() -> None:
    """From 0001 on without a gap, listed in the folder's own page, each with context, choice and what was rejected."""
    listed = (DOCS / "decisions" / "README.md").read_text("utf-8")
    assert [int(page.name[:4]) for page in _DECISIONS] == list(range(1, len(_DECISIONS) + 1))
    for page in _DECISIONS:
        text = page.read_text("utf-8")
        title = text.partition("\n")[0].removeprefix("# ")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Choice", "Rejected"], page.name
        assert f"[{page.name[:4]}]({page.name}) {title}\n" in listed


def test_the_readme_names_every_page() -> None:
    """A page that nobody finds is none."""
    readme = (ROOT / "README.md").read_text("utf-8")
    pages = [page.name for page in DOCS.glob("*.md")]
    assert [page for page in pages if f"(docs/{page})" not in readme] == []


def test_make_targets_of_the_readme_exist() -> None:
    """Every `make …` that a page tells to run."""
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        name for page in _PAGES for name in re.findall(r"(?:^|`)make ([a-z]+)\b", page.read_text("utf-8"), re.MULTILINE)
    }
    assert named >= {"demo", "test"}
    assert sorted(named - targets) == []
