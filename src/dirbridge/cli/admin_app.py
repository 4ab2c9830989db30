"""`dirbridge admin app`: the applications of the tenant, and what each may do. Credentials and owners are beside."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from dirbridge.cli import applications
from dirbridge.cli.admin_app_credentials import (
    add_certificate,
    add_secret,
    remove_certificate,
    remove_secret,
)
from dirbridge.cli.admin_app_owners import add_owner, owners, remove_owner
from dirbridge.cli.applications import GRAPH, Found
from dirbridge.cli.client import Client, Profile, console, options, plain, print_json, table
from dirbridge.cli.telling import moment

_for_people = click.option(
    "--for-people", is_flag=True, help="What it may be allowed to do for people who sign in [for itself]."
)


@click.group()
def app() -> None:
    """Manage applications. They are named by name, client id or object id."""


for command in (add_secret, remove_secret, add_certificate, remove_certificate, owners, add_owner, remove_owner):
    app.add_command(command)


@app.command("list")
@options
def list_applications(profile: Profile, as_json: bool) -> None:
    """List the applications."""
    with Client.open(profile) as client:
        found = [each for each in client.pages("/servicePrincipals", orderby="displayName") if each["appId"] != GRAPH]
    if as_json:
        names = ("displayName", "appId", "id", "accountEnabled", "createdDateTime")
        print_json([{name: each[name] for name in names} for each in found])
        return
    shown = table("Name", "Client id", "State", "Made")
    for each in found:
        shown.add_row(plain(each["displayName"]), each["appId"], _state(each), moment(each["createdDateTime"]))
    console().print(shown)


@app.command()
@options
def permissions(profile: Profile, as_json: bool) -> None:
    """List the permissions that there are, for applications themselves and for people."""
    with Client.open(profile) as client:
        known = applications.graph(client)
    own = {each["value"] for each in known["appRoles"]}
    delegated = {each["value"] for each in known["oauth2PermissionScopes"]}
    if as_json:
        print_json({"application": sorted(own), "delegated": sorted(delegated)})
        return
    shown = table("Permission", "For itself", "For people")
    for name in sorted(own | delegated, key=str.lower):
        shown.add_row(name, "yes" if name in own else "", "yes" if name in delegated else "")
    console().print(shown)


@app.command()
@click.argument("name")
@options
def show(profile: Profile, name: str, as_json: bool) -> None:
    """Show all that is known of NAME."""
    with Client.open(profile) as client:
        _tell(applications.describe(client, applications.find(client, name)), as_json=as_json)


@app.command()
@click.argument("name")
@click.option("--permission", "wanted", metavar="NAME", multiple=True, help="Grant it this; may be repeated.")
@click.option("--redirect-uri", "uris", metavar="URL", multiple=True, help="Send people back there; may be repeated.")
@click.option("--public", is_flag=True, help="It runs where it can keep no secret, such as at a command line.")
@options
def create(
    profile: Profile, name: str, wanted: tuple[str, ...], uris: tuple[str, ...], public: bool, as_json: bool
) -> None:
    """Make an application NAME. Its own credentials come by add-secret or add-certificate."""
    addresses = {("publicClient" if public else "web"): {"redirectUris": list(uris)}} if uris else {}
    with Client.open(profile) as client:
        resource = applications.graph(client)
        roles = [applications.role(resource, each) for each in wanted]
        made = client.post("/applications", {"displayName": name, "isFallbackPublicClient": public, **addresses})
        found = client.post("/servicePrincipals", {"appId": made["appId"]})
        for role in roles:
            _assign(client, found, resource, role)
        described = applications.describe(client, found)
    if as_json:
        print_json(described)
        return
    click.echo(f"{plain(name)} was made. Its client id is {made['appId']}.")


@app.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def delete(profile: Profile, name: str, yes: bool, as_json: bool) -> None:
    """Remove NAME for good, with all its credentials."""
    with Client.open(profile) as client:
        found = applications.find(client, name)
        if not yes:
            click.confirm(f"Remove the application {plain(found['displayName'])}?", abort=True, err=True)
        client.delete(f"/applications/{found['appId']}")
    _say(f"{plain(found['displayName'])} was removed.", as_json=as_json)


@app.command()
@click.argument("name")
@options
def disable(profile: Profile, name: str, as_json: bool) -> None:
    """Shut NAME out at once. The tokens that it has are void for good."""
    _enable(profile, name, as_json, enabled=False)


@app.command()
@click.argument("name")
@options
def enable(profile: Profile, name: str, as_json: bool) -> None:
    """Let NAME in again."""
    _enable(profile, name, as_json, enabled=True)


@app.command()
@click.argument("name")
@click.argument("wanted", metavar="PERMISSION...", nargs=-1, required=True)
@_for_people
@options
def grant(profile: Profile, name: str, wanted: tuple[str, ...], for_people: bool, as_json: bool) -> None:
    """Grant NAME permissions, such as User.Read.All. What it holds already is passed over."""
    with Client.open(profile) as client:
        found, resource = applications.find(client, name), applications.graph(client)
        if for_people:
            there = applications.needed(client, found)
            added = [{"id": applications.scope(resource, each), "type": "Scope"} for each in wanted]
            _need(client, found, [*there, *(each for each in added if each not in there)])
        else:
            held = {each.lower() for each in applications.assignments(client, found)}
            roles = [applications.role(resource, each) for each in wanted if each.lower() not in held]
            for role in roles:
                _assign(client, found, resource, role)
        _tell_permissions(client, found, as_json)


@app.command()
@click.argument("name")
@click.argument("wanted", metavar="PERMISSION...", nargs=-1, required=True)
@_for_people
@options
def revoke(profile: Profile, name: str, wanted: tuple[str, ...], for_people: bool, as_json: bool) -> None:
    """Take permissions away from NAME, and with them the tokens that it has."""
    with Client.open(profile) as client:
        found, resource = applications.find(client, name), applications.graph(client)
        if for_people:
            gone = {applications.scope(resource, each) for each in wanted}
            there = applications.needed(client, found)
            _need(client, found, [each for each in there if each["type"] != "Scope" or each["id"] not in gone])
        else:
            roles = {applications.role(resource, each) for each in wanted}
            names = {each["value"] for each in resource["appRoles"] if each["id"] in roles}
            for permission, assignment in applications.assignments(client, found).items():
                if permission in names:
                    client.delete(f"/servicePrincipals/{found['id']}/appRoleAssignments/{assignment}")
        _tell_permissions(client, found, as_json)


def _assign(client: Client, application: Found, resource: Found, role: str) -> None:
    wish = {"principalId": application["id"], "resourceId": resource["id"], "appRoleId": role}
    client.post(f"/servicePrincipals/{application['id']}/appRoleAssignments", wish)


def _need(client: Client, application: Found, access: list[dict[str, str]]) -> None:
    wish = [{"resourceAppId": GRAPH, "resourceAccess": access}] if access else []
    client.patch(f"/applications/{application['appId']}", {"requiredResourceAccess": wish})


def _enable(profile: Profile, name: str, as_json: bool, *, enabled: bool) -> None:
    with Client.open(profile) as client:
        found = applications.find(client, name)
        client.patch(f"/servicePrincipals/{found['id']}", {"accountEnabled": enabled})
    said = f"{plain(found['displayName'])} is {'enabled' if enabled else 'disabled'}."
    _say(said, as_json=as_json, document={"appId": found["appId"], "accountEnabled": enabled})


def _tell_permissions(client: Client, application: Found, as_json: bool) -> None:
    now = applications.describe(client, application)
    if as_json:
        print_json({name: now[name] for name in ("appId", "permissions", "delegatedPermissions")})
        return
    click.echo(f"{plain(now['displayName'])} has: {plain(', '.join(now['permissions']) or 'nothing')}.")
    if now["delegatedPermissions"]:
        click.echo(f"For people: {plain(', '.join(now['delegatedPermissions']))}.")


def _say(said: str, *, as_json: bool, document: dict[str, Any] | None = None) -> None:
    if as_json:
        print_json(document or {})
    else:
        click.echo(said)


def _state(application: dict[str, Any]) -> str:
    return "enabled" if application["accountEnabled"] else "disabled"


def _tell(now: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(now)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    rows = [
        ("Name", now["displayName"]),
        ("Client id", now["appId"]),
        ("Object id", now["id"]),
        ("State", _state(now) + (", public" if now["isPublicClient"] else "")),
        ("May", ", ".join(now["permissions"]) or "nothing"),
        ("For people", ", ".join(now["delegatedPermissions"]) or "nothing"),
        *(("Sends people to", each) for each in now["redirectUris"]),
        *(("Secret", f"{each['keyId']}  {each['hint']}…  until {moment(each['endDateTime'])}  {each['displayName']}")
          for each in now["secrets"]),
        *(("Certificate", f"{each['keyId']}  until {moment(each['endDateTime'])}  {each['displayName']}")
          for each in now["certificates"]),
        *(("Owner", f"{each['displayName']}  {each['id']}") for each in now["owners"]),
    ]  # fmt: skip
    for heading, text in rows:
        table.add_row(heading, plain(text))
    console().print(table)
