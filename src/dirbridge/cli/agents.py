"""`dirbridge agent code`, `list`, `show` and `revoke`: what an administrator does with agents, from anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import click
from rich.table import Column, Table
from rich.text import Text

from dirbridge.cli.client import Client, Profile, console, options, print_json

_LOOK = {"healthy": "green", "degraded": "yellow", "updating": "cyan", "inactive": "red", "revoked": "dim"}


@click.command()
@click.option(
    "--domain", "domains", required=True, multiple=True, metavar="NAME", help="Domain the agent may serve; repeatable."
)
@options
def code(profile: Profile, domains: tuple[str, ...], as_json: bool) -> None:
    """Make a one-time code that enrols one agent within 15 minutes."""
    with Client.open(profile) as client:
        made = client.post("/beta/dirbridge/enrolmentCodes", {"domains": list(domains)})
    if as_json:
        print_json(made)
        return
    click.echo(made["code"])
    click.echo(
        f"Good once, until {made['expirationDateTime']}, for {', '.join(made['domains'])}. On the agent's host:\n"
        f"  dirbridge agent enrol --service {profile.url} --code CODE",
        err=True,
    )


@click.command("list")
@options
def list_agents(profile: Profile, as_json: bool) -> None:
    """Show every agent that was enrolled, and how it is."""
    with Client.open(profile) as client:
        found = list(client.pages("/beta/dirbridge/agents"))
    if as_json:
        print_json(found)
        return
    table = Table(
        Column("Id", no_wrap=True, min_width=36), "Host", "Status", "Domains", "Version", "Last heard", "Why", box=None
    )
    for each in found:
        cells = [each["id"], each["machineName"], _status(each), ", ".join(each["domains"]), each["version"]]
        table.add_row(*cells, each["lastHeardDateTime"] or "never", Text("\n".join(_reasons(each))))
    console().print(table)


@click.command()
@click.argument("agent_id", type=click.UUID)
@options
def show(profile: Profile, agent_id: UUID, as_json: bool) -> None:
    """Show one agent: how it is, why, and what to do."""
    with Client.open(profile) as client:
        found = client.get(f"/beta/dirbridge/agents/{agent_id}")
    if as_json:
        print_json(found)
        return
    table = Table(Column(style="bold", no_wrap=True), "", box=None, show_header=False)
    for name, value in _rows(found):
        table.add_row(name, value)
    console().print(table)


@click.command()
@click.argument("agent_id", type=click.UUID)
@options
def revoke(profile: Profile, agent_id: UUID, as_json: bool) -> None:
    """Shut an agent out, at once."""
    with Client.open(profile) as client:
        client.post(f"/beta/dirbridge/agents/{agent_id}/revoke")
    if as_json:
        print_json({"id": str(agent_id), "status": "revoked"})
    else:
        click.echo(f"Agent {agent_id} is revoked.")


def _status(agent: Mapping[str, Any]) -> Text:
    return Text(agent["status"], style=_LOOK.get(agent["status"], ""))


def _reasons(agent: Mapping[str, Any]) -> Iterator[str]:
    for reason in agent["statusReasons"]:
        domain = f"{reason['domain']}: " if reason["domain"] else ""
        yield f"{domain}{reason['message']}"


def _rows(agent: Mapping[str, Any]) -> Iterator[tuple[str, Text]]:
    yield "Agent", Text(agent["id"])
    yield "Host", Text(f"{agent['machineName']} ({agent['externalIp']})")
    yield "Status", _status(agent)
    for reason, said in zip(agent["statusReasons"], _reasons(agent), strict=True):
        since = f" Since {reason['sinceDateTime']}." if reason["sinceDateTime"] else ""
        yield reason["code"], Text(f"{said} {reason['recommendedAction']}{since}")
    yield "Version", Text(agent["version"])
    yield "Domains", Text(", ".join(agent["domains"]))
    yield "Served", Text(", ".join(agent["servedDomains"]) or "none")
    yield "Enrolled", Text(agent["enrolledDateTime"])
    yield "Certificate", Text(f"good until {agent['certificateExpirationDateTime']}")
    yield "Last heard", Text(agent["lastHeardDateTime"] or "never")
    if agent["uptimeInSeconds"] is not None:
        yield "Running for", Text(f"{agent['uptimeInSeconds']:.0f} seconds")
        yield "At work on", Text(f"{agent['requestsInProgress']} requests")
    if agent["lastError"]:
        yield "Last error", Text(agent["lastError"])
