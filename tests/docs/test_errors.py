"""Every error code that the source can show stands in `docs/errors.md`, and no other."""

import re

from tests.docs.codes import in_source
from tests.docs.pages import DOCS

_ROW = re.compile(r"^\| (`[^|]*`) \|(.*)\|$", re.MULTILINE)


def _documented() -> dict[str, str]:
    """Give the codes of the page, with what stands beside them."""
    text = (DOCS / "errors.md").read_text("utf-8")
    return {code: said for codes, said in _ROW.findall(text) for code in re.findall(r"`([^`]+)`", codes)}


def test_the_search_finds_codes_in_each_of_their_places() -> None:
    """One code for each way in which the source writes them: were the search blind, the next test would be empty."""
    expected = {
        "AADSTS7000215": "service/auth/oauth/clients.py",  # a number
        "AccountLocked": "connectors/ad/dialect.py",  # a row of a table
        "AgentRevoked": "service/relay/door.py",  # a part of what is returned
        "AttributeValueMustBeUnique": "tenant/target.py",  # an argument by name
        "CsrInvalid": "service/relay/enrolment.py",  # an argument by place
        "DatabaseUnavailable": "store/database.py",  # a member of an enumeration
        "EntryVanished": "connectors/ad/directory.py",  # an attribute of a class
        "JobAmbiguous": "cli/finding.py",  # the other half of a choice
        "NoRightOnDeletedObjects": "connectors/ad/checking.py",  # a constant of the module
        "TooManyRequests": "service/graph/errors.py",  # a value of a dictionary
        "UnknownCertificateAuthority": "connectors/ldap_wire/handshake.py",  # the first of several names
    }
    found = in_source()
    assert {code: file for code, file in expected.items() if file not in found.get(code, ())} == {}


def test_every_code_is_documented() -> None:
    """A code without a row is named with its file."""
    known = _documented()
    assert {code: sorted(files) for code, files in in_source().items() if code not in known} == {}


def test_every_row_is_of_a_code_that_exists() -> None:
    """A row whose code went is named."""
    assert sorted(_documented().keys() - in_source().keys()) == []


def test_every_row_says_something() -> None:
    """No meaning and no remedy is empty."""
    cells = {code: [cell.strip() for cell in said.split("|")] for code, said in _documented().items()}
    assert {code: said for code, said in cells.items() if not all(said)} == {}
