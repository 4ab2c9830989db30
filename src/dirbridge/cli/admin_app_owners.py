"""`dirbridge admin app owners` and its like: who may change an application by Application.ReadWrite.OwnedBy."""

from __future__ import annotations

from urllib.parse import quote

import click

from dirbridge.cli import applications
from dirbridge.cli.client import Client, Profile, options, plain, print_json


@click.command()
@click.argument("name")
@options
def owners(profile: Profile, name: str, as_json: bool) -> None:
    """List who owns NAME: applications and administrators."""
    with Client.open(profile) as client:
        found = applications.find(client, name)
        _tell(client, found, as_json)


@click.command("add-owner")
@click.argument("name")
@click.argument("owner")
@options
def add_owner(profile: Profile, name: str, owner: str, as_json: bool) -> None:
    """Let OWNER own NAME: another application, or an administrator by sign-in name."""
    with Client.open(profile) as client:
        found = applications.find(client, name)
        address = f"{profile.url}/v1.0/directoryObjects/{_id(client, owner)}"
        client.post(f"/servicePrincipals/{found['id']}/owners/$ref", {"@odata.id": address})
        _tell(client, found, as_json)


@click.command("remove-owner")
@click.argument("name")
@click.argument("owner")
@options
def remove_owner(profile: Profile, name: str, owner: str, as_json: bool) -> None:
    """Let OWNER own NAME no longer."""
    with Client.open(profile) as client:
        found = applications.find(client, name)
        client.delete(f"/servicePrincipals/{found['id']}/owners/{_id(client, owner)}/$ref")
        _tell(client, found, as_json)


def _id(client: Client, owner: str) -> str:
    if "@" in owner:
        return str(client.get(f"/beta/dirbridge/administrators/{quote(owner, safe='@')}")["id"])
    return str(applications.find(client, owner)["id"])


def _tell(client: Client, application: applications.Found, as_json: bool) -> None:
    there = client.get(f"/servicePrincipals/{application['id']}/owners")["value"]
    if as_json:
        print_json(there)
        return
    for each in there:
        click.echo(f"{plain(each['displayName'])}  {each['id']}")
    if not there:
        click.echo(f"Nobody owns {plain(application['displayName'])}.")
