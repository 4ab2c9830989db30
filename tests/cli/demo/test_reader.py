"""The reader understands what ldapsearch writes, and reads a directory whole."""

import base64

import pytest

from dirbridge.cli.demo.reader import Found, parse


def test_parse_joins_folded_lines():
    """A line that begins with a space goes on with the one before, of a DN as of a value."""
    text = "dn: CN=Long,OU=Peo\n ple,DC=contoso,DC=test\ndescription: one\n  two\n\n"
    assert list(parse(text)) == [
        Found("CN=Long,OU=People,DC=contoso,DC=test", {"description": (b"one two",)}),
    ]


def test_parse_decodes_base64():
    """Two colons mean base64, of text as of bytes, folded or not."""
    guid = bytes(range(16))
    coded = base64.b64encode(guid).decode()
    dn = base64.b64encode("CN=Zoë,DC=contoso,DC=test".encode()).decode()
    text = f"dn:: {dn[:10]}\n {dn[10:]}\nobjectGUID:: {coded}\n"
    assert list(parse(text)) == [Found("CN=Zoë,DC=contoso,DC=test", {"objectguid": (guid,)})]


def test_parse_several_entries_and_values():
    """Comments, referrals and the version are left out; values keep their order; an empty value is a value."""
    text = (
        "version: 1\n\n# a comment\n#  that is fold\n ed\ndn: CN=a\nmember: CN=b\nMember: CN=c\nempty:\n\n"
        "# refldaps://contoso.test/CN=Configuration\n\ndn: CN=b\n\n# pagedresults: cookie=\n"
    )
    assert list(parse(text)) == [
        Found("CN=a", {"member": (b"CN=b", b"CN=c"), "empty": (b"",)}),
        Found("CN=b", {}),
    ]


@pytest.mark.parametrize("text", ["dn: CN=a\nno colon\n", "dn: CN=a\njpegPhoto:< file:///x\n"])
def test_parse_refuses_what_is_no_ldif(text):
    """Text that would be misunderstood is named, not skipped."""
    with pytest.raises(ValueError, match="no LDIF"):
        list(parse(text))


def test_found_gives_attributes_in_any_case():
    """Attribute names have no case."""
    (entry,) = parse("dn: CN=a\nsAMAccountName: a\n")
    assert (entry.text("samaccountname"), entry.text("SAMACCOUNTNAME"), entry.text("mail")) == ("a", "a", None)
