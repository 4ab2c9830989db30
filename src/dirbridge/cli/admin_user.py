"""`dirbridge admin user`: the people who administer the tenant."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import quote

import click

from dirbridge.cli.client import Client, Profile, console, options, plain, print_json, table
from dirbridge.contract.errors import ConfigurationError

_PATH = "/beta/dirbridge/administrators"

_role = click.option("--role", "roles", metavar="NAME", multiple=True, required=True, help="Role; may be repeated.")
_password = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input [one is made and shown]."
)


@click.group()
def user() -> None:
    """Manage administrators. They are named by sign-in name or id."""


@user.command("list")
@options
def list_users(profile: Profile, as_json: bool) -> None:
    """List the administrators with their roles."""
    with Client.open(profile) as client:
        found = client.get(_PATH)["value"]
    if as_json:
        print_json(found)
        return
    shown = table("Name", "State", "Second factor", "Last sign-in", "Roles")
    for each in found:
        state = "enabled" if each["accountEnabled"] else "disabled"
        factor, last = "on" if each["hasSecondFactor"] else "off", each["lastSignInDateTime"] or "never"
        shown.add_row(plain(each["userName"]), state, factor, last, plain(", ".join(each["roles"])))
    console().print(shown)


@user.command()
@click.argument("name")
@_role
@click.option("--display-name", metavar="TEXT", default="", help="Name to show.")
@_password
@options
def create(
    profile: Profile, name: str, roles: tuple[str, ...], display_name: str, password_stdin: bool, as_json: bool
) -> None:
    """Make an administrator NAME, such as ada@contoso.example."""
    wish = {"userName": name, "roles": list(roles), "displayName": display_name, **_given(password_stdin)}
    with Client.open(profile) as client:
        made = client.post(_PATH, wish)
    _tell(made, f"{plain(made['userName'])} was made.", as_json=as_json)


@user.command()
@click.argument("name")
@_role
@options
def role(profile: Profile, name: str, roles: tuple[str, ...], as_json: bool) -> None:
    """Replace the roles of NAME. Whatever was signed in before has to sign in again."""
    _change(profile, name, {"roles": list(roles)}, f"{plain(name)} has now: {plain(', '.join(roles))}.", as_json)


@user.command()
@click.argument("name")
@_password
@options
def password(profile: Profile, name: str, password_stdin: bool, as_json: bool) -> None:
    """Replace the password of NAME. Whatever was signed in before has to sign in again."""
    with Client.open(profile) as client:
        done = client.post(f"{_where(name)}/resetPassword", _given(password_stdin))
    _tell(done, f"{plain(done['userName'])} has a new password.", as_json=as_json)


@user.command()
@click.argument("name")
@options
def disable(profile: Profile, name: str, as_json: bool) -> None:
    """Shut NAME out at once."""
    _change(profile, name, {"accountEnabled": False}, f"{plain(name)} is disabled.", as_json)


@user.command()
@click.argument("name")
@options
def enable(profile: Profile, name: str, as_json: bool) -> None:
    """Let NAME in again."""
    _change(profile, name, {"accountEnabled": True}, f"{plain(name)} is enabled.", as_json)


@user.command()
@click.argument("name")
@options
def unlock(profile: Profile, name: str, as_json: bool) -> None:
    """Let NAME sign in at once after too many attempts that failed."""
    _act(profile, name, "unlock", f"{plain(name)} need not wait any longer.", as_json)


@user.command("reset-totp")
@click.argument("name")
@options
def reset_totp(profile: Profile, name: str, as_json: bool) -> None:
    """Turn the second factor of NAME off, where the device is lost that shows its codes."""
    _act(profile, name, "resetSecondFactor", f"Sign-in asks {plain(name)} for no code any longer.", as_json)


@user.command()
@click.argument("name")
@options
def unlink(profile: Profile, name: str, as_json: bool) -> None:
    """Forget which person at the outside provider NAME is."""
    _act(profile, name, "unlink", f"The next sign-in at the provider settles who {plain(name)} is.", as_json)


@user.command()
@click.argument("name")
@click.option("--end", metavar="ID", help="End this session.")
@click.option("--end-all", is_flag=True, help="End all of them, and what applications hold.")
@options
def sessions(profile: Profile, name: str, end: str | None, end_all: bool, as_json: bool) -> None:
    """List the browsers that NAME is signed in with, or end sessions."""
    with Client.open(profile) as client:
        if end is not None:
            client.delete(f"{_where(name)}/sessions/{quote(end, safe='')}")
        if end_all:
            client.post(f"{_where(name)}/revokeSignInSessions", {})
        found = client.get(f"{_where(name)}/sessions")["value"]
    if as_json:
        print_json(found)
        return
    if not found:
        click.echo(f"{plain(name)} is signed in nowhere.")
        return
    shown = table("Session", "Signed in", "Last seen", "Address", "Browser")
    for each in found:
        times = each["signedInDateTime"], each["lastSeenDateTime"]
        shown.add_row(each["id"], *times, plain(each["ipAddress"]), plain(each["browser"]))
    console().print(shown)


@user.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def delete(profile: Profile, name: str, yes: bool, as_json: bool) -> None:
    """Remove NAME for good."""
    if not yes:
        click.confirm(f"Remove the administrator {plain(name)}?", abort=True, err=True)
    with Client.open(profile) as client:
        client.delete(_where(name))
    if as_json:
        print_json({})
    else:
        click.echo(f"{plain(name)} was removed.")


def _where(name: str) -> str:
    return f"{_PATH}/{quote(name, safe='@')}"


def _given(from_input: bool) -> dict[str, str]:
    """Read a password's line, so that it stands neither in the history nor in the list of processes."""
    if not from_input:
        return {}
    given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise ConfigurationError("There is no password on standard input.", code="PasswordMissing")
    return {"password": given}


def _act(profile: Profile, name: str, act: str, said: str, as_json: bool) -> None:
    with Client.open(profile) as client:
        client.post(f"{_where(name)}/{act}", {})
        now = client.get(_where(name))
    _tell(now, said, as_json=as_json)


def _change(profile: Profile, name: str, changes: dict[str, Any], said: str, as_json: bool) -> None:
    with Client.open(profile) as client:
        client.patch(_where(name), changes)
        now = client.get(_where(name))
    _tell(now, said, as_json=as_json)


def _tell(document: dict[str, Any], said: str, *, as_json: bool) -> None:
    if as_json:
        document.pop("@odata.context", None)
        print_json(document)
        return
    click.echo(said)
    if "password" in document:
        click.echo(f"Password: {document['password']}")
        click.echo("It is not shown again.")
