"""A made-up directory, and what a tenant has to hold of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dirbridge.connectors.generated.directory import DEPARTMENTS, GROUP, USER, Directory
from dirbridge.connectors.generated.settings import Settings
from tests.e2e.harness import Installation

DOMAIN = "made-up.test"


def settings(folder: Path, *, users: int = 3000, groups: int = 60, members: int = 100, pause: float = 0.6) -> Settings:
    return Settings(
        name=DOMAIN,
        users=users,
        groups=groups,
        members=members,
        pause=pause,
        revision_file=folder / "revision",
    )


def toml(given: Settings) -> str:
    """Write settings as the agent's file has them."""
    values = given.model_dump(mode="json", exclude_defaults=True)
    lines = [f"{name} = {value if isinstance(value, int | float) else repr(value)}" for name, value in values.items()]
    return "\n".join(["[[domain]]", 'kind = "generated"', *lines])


def directory(given: Settings) -> Directory:
    """Give the directory at its present revision."""
    assert given.revision_file is not None
    file = given.revision_file
    return Directory(given, int(file.read_text()) if file.exists() else 0)


async def compare(installation: Installation, given: Settings) -> None:
    """See that the tenant is the directory: object by object, member by member."""
    held = directory(given)
    users = await installation.objects(
        "users", "displayName", "userPrincipalName", "mail", "jobTitle", "department", "accountEnabled",
        "onPremisesSamAccountName",
    )  # fmt: skip
    people = {user.pop("id"): int(user["onPremisesSamAccountName"][1:]) for user in users}
    _same(users, [_user(held, number) for number in range(given.users)], "onPremisesSamAccountName")
    groups = await installation.objects("groups", "displayName", "onPremisesSamAccountName")
    numbers = {group.pop("id"): int(group["onPremisesSamAccountName"][1:]) for group in groups}
    names = [f"g{number:06d}" for number in range(given.groups)]
    wanted = [{"displayName": f"Group {int(name[1:])}", "onPremisesSamAccountName": name} for name in names]
    _same(groups, wanted, "onPremisesSamAccountName")
    members = {(numbers[group], people[user]) for group, user in await installation.references("members")}
    assert members == {
        (number, found[1])
        for number in range(given.groups)
        for anchor in held.members(number)
        if (found := held.number(anchor)) is not None
    }
    managers = {(people[user], people[manager]) for user, manager in await installation.references("manager")}
    assert managers == {(number, number // 10) for number in range(10, given.users)}
    rows = await installation.rows("select count(*) from directory_objects where deleted_at is not null")
    assert rows == [(0,)]


def _user(held: Directory, number: int) -> dict[str, Any]:
    account = f"u{number:07d}"
    return {
        "displayName": held._display_name(number),
        "userPrincipalName": f"{account}@{DOMAIN}",
        "mail": f"{account}@{DOMAIN}",
        "jobTitle": f"Title {held._titles.get(number, 0)}",
        "department": DEPARTMENTS[number % len(DEPARTMENTS)],
        "accountEnabled": number % 50 != 49,
        "onPremisesSamAccountName": account,
    }


def _same(found: list[dict[str, Any]], wanted: list[dict[str, Any]], key: str) -> None:
    """See that two lists of objects are the same but for their order, and say what is not."""
    assert len(found) == len(wanted), f"{len(found)} objects, {len(wanted)} expected"
    for ours, theirs in zip(*(sorted(each, key=lambda item: str(item[key])) for each in (wanted, found)), strict=True):
        assert ours == theirs, f"{theirs} has to be {ours}"


def anchors(given: Settings) -> set[str]:
    """Give the anchors of all that is to be provisioned."""
    held = directory(given)
    return {held.anchor(USER, number) for number in range(given.users)} | {
        held.anchor(GROUP, number) for number in range(given.groups)
    }
