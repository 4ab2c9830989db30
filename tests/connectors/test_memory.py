"""The directory in memory answers as a real one does."""

from dirbridge.connectors.memory.directory import ROOT, Directory, anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.wire import Located

ANN, BOB, TEAM, UNIT, HIDDEN, GONE = (anchor_of(number) for number in range(6))


async def test_names_are_found_as_in_a_domain() -> None:
    """By distinguished name, sign-in name, account name and anchor; what is gone, hidden or doubtful is none."""
    directory = Directory("contoso.test")
    directory.create(UNIT, "container", "Sales")
    directory.create(ANN, "user", "Ann", UNIT, sAMAccountName="ann", userPrincipalName="ann@contoso.test")
    directory.create(BOB, "user", "Bob", sAMAccountName="bob", userPrincipalName="ann")
    directory.create(TEAM, "group", "Team", sAMAccountName="team")
    directory.create(HIDDEN, "user", "Hidden", sAMAccountName="hidden")
    directory.create(GONE, "user", "Gone", sAMAccountName="gone")
    directory.hide(HIDDEN)
    directory.delete(GONE)
    dn = "CN=Ann,OU=Sales,DC=contoso,DC=test"
    asked = {
        "ANN@contoso.test": Located("", ANN, "user", dn),
        dn.lower(): Located("", ANN, "user", dn),
        ANN: Located("", ANN, "user", dn),
        "team": Located("", TEAM, "group", "CN=Team,DC=contoso,DC=test"),
        "OU=Sales,DC=contoso,DC=test": Located("", UNIT, "container", "OU=Sales,DC=contoso,DC=test"),
        "DC=contoso,DC=test": Located("", ROOT, "container", "DC=contoso,DC=test"),
        "ann": Located(""),
        "hidden": Located(""),
        "gone": Located(""),
        "nobody": Located(""),
    }
    found = await MemorySource(directory).locate(list(asked))
    assert [Located("", one.anchor, one.object_type, one.shown) for one in found] == list(asked.values())
    assert [one.name for one in found] == list(asked)
