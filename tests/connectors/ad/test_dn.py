"""Distinguished names as Active Directory writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirbridge.connectors.ad import dn

GUID = "342da973-89ec-4db4-84f7-51f07a4899f7"

# As a domain controller returned them for these names.
NAMES = {
    r"ann\, a\+b": "ann, a+b",
    r"\ lead": " lead",
    r"tr\ ": "tr ",
    r"\#hash": "#hash",
    r"semi\3Bx": "semi;x",
    r"eq\3Dx": "eq=x",
    r"q\"uote": 'q"uote',
    r"back\\slash": "back\\slash",
    r"less\<x\>": "less<x>",
    r"a\0Ab": "a\nb",
    "sl/ash": "sl/ash",
    "emoji 😀": "emoji 😀",
    r"uml\C3\A4\C3\B6": "umläö",
    " a ": "a",
    r"a\ \ ": "a  ",
    "": "",
}


@pytest.mark.parametrize(("text", "value"), NAMES.items())
def test_unescape_gives_the_value_that_is_meant(text: str, value: str) -> None:
    assert dn.unescape(text) == value


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escape_is_undone_by_unescape(value: str) -> None:
    """Any text can stand in a name and comes back."""
    assert dn.split(f"CN={dn.escape(value)},DC=test") == (dn.Part("CN", value), dn.Part("DC", "test"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"<GUID={GUID}>;<SID=S-1-5-21-1-2-3-1109>;CN=a,DC=b", (GUID, "S-1-5-21-1-2-3-1109", "CN=a,DC=b")),
        (f"<GUID={GUID.upper()}>;OU=x,DC=b", (GUID, None, "OU=x,DC=b")),
        ("<GUID=73a92d34ec89b44d84f751f07a4899f7>;<SID=0105>;CN=a", (GUID, "0105", "CN=a")),
        ("<SID=S-1-5-11>;CN=S-1-5-11,DC=b", (None, "S-1-5-11", "CN=S-1-5-11,DC=b")),
        ("CN=a<b\\>,DC=b", (None, None, "CN=a<b\\>,DC=b")),
        (f"<GUID={GUID}>", (GUID, None, "")),
    ],
)
def test_extended_name_is_taken_apart(text: str, expected: tuple[str | None, str | None, str]) -> None:
    """GUIDs come dashed or as bytes in hexadecimal; either may be missing."""
    assert dn.extended(text) == expected
    assert dn.anchor(text) == expected[0]


def test_tombstone_name_is_split_at_its_parts() -> None:
    name = rf"CN=new\0ADEL:{GUID},CN=Deleted Objects,DC=contoso,DC=test"
    assert dn.split(name)[0] == dn.Part("CN", f"new\nDEL:{GUID}")
    assert len(dn.split(name)) == 4


@pytest.mark.parametrize("text", ["contoso", "CN=a,,DC=b", "=x", "CN=a,b c=d"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no distinguished name"):
        dn.split(text)


@pytest.mark.parametrize(
    ("name", "ancestor", "expected"),
    [
        ("CN=a,OU=Sales,DC=b", "ou=sales,dc=B", True),
        ("OU=Sales,DC=b", "OU=Sales,DC=b", True),
        ("CN=a,OU=PreSales,DC=b", "OU=Sales,DC=b", False),
        (r"CN=a\,OU=Sales,DC=b", "OU=Sales,DC=b", False),
        ("CN=a,OU=Sales, DC=b", "OU=Sales,DC=b", True),
        ("CN=a,DC=b", "", False),
    ],
)
def test_below_compares_whole_parts(name: str, ancestor: str, expected: bool) -> None:
    """`OU=PreSales` does not lie in `OU=Sales`, nor does a comma in a name begin a part."""
    assert dn.below(name, ancestor) is expected


@given(st.lists(st.tuples(st.sampled_from(["CN", "OU", "DC"]), st.text(st.characters(exclude_categories=["Cs"])))))
def test_join_is_undone_by_split(parts: list[tuple[str, str]]) -> None:
    given_parts = tuple(dn.Part(*part) for part in parts)
    assert dn.split(dn.join(given_parts)) == given_parts
