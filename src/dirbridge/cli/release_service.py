"""`dirbridge release publish`, `list` and `choose`: releases at the service."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from dirbridge.cli.client import Client, Profile, console, options, print_json, table

_PATH = "/beta/dirbridge/releases"
NEWEST = "newest"


@click.command()
@click.argument("repository", type=click.Path(path_type=Path, file_okay=False))
@click.option("--anew", is_flag=True, help="In place of a repository with other keys, which agents of the old refuse.")
@options
def publish(profile: Profile, repository: Path, anew: bool, as_json: bool) -> None:
    """Send what is signed to the service, which hands it to agents. Archives that it has are not sent again."""
    from dirbridge.release import verification
    from dirbridge.release.repository import Repository

    now = datetime.now(UTC)
    opened = Repository(repository, lambda: now)
    files = opened.files()
    listing = verification.verify(files, now)
    with Client.open(profile) as client:
        there = set(client.get(f"{_PATH}/repository")["archives"])
        sent = [file for file in opened.target_files() if file.name.partition(".")[0] not in there]
        for file in sent:
            client.upload(f"{_PATH}/archives/{file.name.partition('.')[0]}", file)
        body = {"files": {name: content.decode() for name, content in files.items()}, "anew": anew}
        client.post(f"{_PATH}/repository", body)
    if as_json:
        print_json({"releases": [each.name for each in listing.archives], "sent": [file.name for file in sent]})
        return
    click.echo(f"{len(listing.archives)} releases are published, {len(sent)} archives were sent.")
    click.echo(f"Renew the timestamp before {listing.expires['timestamp']:%Y-%m-%d}: agents take nothing after it.")


@click.command("list")
@options
def list_releases(profile: Profile, as_json: bool) -> None:
    """Show the releases that agents are offered, and how many agents run each."""
    with Client.open(profile) as client:
        found = list(client.pages(_PATH))
    if as_json:
        print_json(found)
        return
    shown = table("Version", "Python", "Platform", "Channel", "Size", "Published", "Agents", unbroken=("Published",))
    for each in found:
        cells = [each["version"], each["python"], each["platform"], each["channel"], f"{each['size'] / 1e6:.1f} MB"]
        shown.add_row(*cells, each["publishedDateTime"][:16].replace("T", " "), str(each["agents"]))
    console().print(shown)


@click.command()
@click.argument("version")
@click.option("--agent", "agent_id", type=click.UUID, help="This agent only [all that have none of their own].")
@options
def choose(profile: Profile, version: str, agent_id: UUID | None, as_json: bool) -> None:
    """Say which VERSION agents are to have; `newest` lets them go with the releases again."""
    body = {"version": None if version == NEWEST else version}
    if agent_id is not None:
        body["agentId"] = str(agent_id)
    with Client.open(profile) as client:
        client.post(f"{_PATH}/choose", body)
    if as_json:
        print_json(body)
        return
    whom = "All agents without a version of their own are" if agent_id is None else f"Agent {agent_id} is"
    click.echo(f"{whom} to have {'the newest release' if version == NEWEST else version}.")
