"""The table of codes has what a job, an entry or a quarantine can show, and says what `docs/errors.md` says."""

import re

from dirbridge.contract.codes import CODES, Category, category
from tests.docs.codes import in_source
from tests.docs.pages import DOCS

_ROOMS = (
    "engine/", "connectors/", "tenant/target.py", "tenant/account", "contract/errors.py", "contract/wire.py",
    "service/relay/remote.py", "agent/executor.py", "store/database.py", "store/accounts.py",
)  # fmt: skip
"""Where the codes arise that jobs record; the others are answers of the API, of the command line and at start."""

_ROW = re.compile(r"^\| (`[^|]*`) \|(?:[ \d,]+\|)? ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def _recorded() -> dict[str, set[str]]:
    found = {code: {file for file in files if file.startswith(_ROOMS)} for code, files in in_source().items()}
    return {code: files for code, files in found.items() if files}


def _plain(text: str) -> str:
    """Give a cell's text without its marks; a remedy that is none is empty."""
    plain = _LINK.sub(r"\1", text.strip()).replace("`", "")
    return "" if plain == "None." else plain


def test_every_code_that_jobs_record_is_in_the_table() -> None:
    """A code that is missing is named with its file."""
    recorded = _recorded()
    assert len(recorded) > 80  # were the search blind, there would be nothing to miss
    assert {code: sorted(files) for code, files in recorded.items() if code not in CODES} == {}


def test_every_row_of_the_table_is_of_a_code_that_is_recorded() -> None:
    """A row whose code went is named."""
    assert sorted(CODES.keys() - _recorded().keys()) == []


def test_table_and_page_say_the_same() -> None:
    """Meaning and remedy, word by word; a code that stands on the page in several places, in one of them."""
    page: dict[str, set[tuple[str, str]]] = {}
    for codes, meaning, remedy in _ROW.findall((DOCS / "errors.md").read_text("utf-8")):
        for code in re.findall(r"`([^`]+)`", codes):
            page.setdefault(code, set()).add((_plain(meaning), _plain(remedy)))
    other = {code: row for code, row in CODES.items() if tuple(row[1:]) not in page.get(code, set())}
    assert other == {}


def test_the_table_is_in_order() -> None:
    """So that a code is found, and two that are added at once meet."""
    assert list(CODES) == sorted(CODES, key=lambda code: (code.lower(), code))


def test_the_category_follows_the_code_and_the_status() -> None:
    """Nothing failed where nothing failed; a code that nobody foresaw is ours when it fails."""
    assert category("NotInScope", "skipped") is Category.NONE
    assert category("AttributeValueMustBeUnique", "failure") is Category.PERSON
    assert category("InternalError", "failure") is Category.SYSTEM
    assert category("SomethingNew", "failure") is Category.SYSTEM
    assert category("SomethingNew", "warning") is Category.PERSON
    assert category("", "success") is Category.NONE
