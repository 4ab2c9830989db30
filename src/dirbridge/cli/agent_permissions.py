"""`dirbridge agent permissions`: the rights of the accounts that read the directories, shown and set right."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from dirbridge.cli import agent_places
from dirbridge.cli.client import console, plain, print_json
from dirbridge.connectors.password_file import read_password
from dirbridge.contract.errors import ConfigurationError

if TYPE_CHECKING:
    from dirbridge.connectors.ad.permissions import Administrator, Permission
    from dirbridge.connectors.ad.settings import Settings

NOT_RIGHT = 1
_LOOK = {
    "granted": ("granted", "green"),
    "missing": ("MISSING", "bold red"),
    "excess": ("EXCESS ", "yellow"),
    "unknown": ("unknown", "dim"),
}
_PURPOSES = {"read": "to read", "deletes": "to see deletes", "none": "for nothing"}


@click.command()
@agent_places.settings
@click.option("--domain", metavar="NAME", help="This domain of the settings; all of Active Directory otherwise.")
@click.option("--set", "sets", is_flag=True, help="Grant what is missing and take away what is too much.")
@click.option("--administrator", metavar="USER", help="Account that looks, and that may change rights: ADMIN@DOMAIN.")
@click.option(
    "--administrator-password-file",
    "password_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File with that account's password; asked for otherwise.",
)
@click.option("--yes", is_flag=True, help="Do not ask before changes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def permissions(
    context: click.Context,
    settings_file: Path | None,
    domain: str | None,
    sets: bool,
    administrator: str | None,
    password_file: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Show which rights the agent's accounts hold, lack and have too much; set them right.

    Changing anything needs an administrator of the domain, whose password is used once and kept nowhere. Exit code 0
    where each account has just what it needs, 1 where it does not.
    """
    from dirbridge.agent import settings as agent_settings
    from dirbridge.connectors.ad.permissions import Administrator

    if sets and not administrator:
        raise click.UsageError("--set needs --administrator.")
    if password_file and not administrator:
        raise click.UsageError("--administrator-password-file needs --administrator.")
    chosen = _chosen(agent_settings.load(settings_file or agent_settings.default_file()), domain)
    secret = _secret(administrator, password_file) if administrator else ""
    if sets and not yes:
        names = ", ".join(each.name for each in chosen)
        click.confirm(f"Change rights in {names} as {administrator}?", abort=True, err=True)
    answer = []
    right = True
    for each in chosen:
        admin = Administrator(each, administrator, secret) if administrator else None
        found, done = asyncio.run(_work(each, admin, sets=sets))
        right = right and all(one.state in {"granted", "unknown"} for one in found)
        answer.append(
            {"domain": each.name, "account": each.user, "changes": done, "permissions": [asdict(one) for one in found]}
        )
        if not as_json:
            _show(each, found, done)
    if as_json:
        print_json({"domains": answer})
    if not right:
        context.exit(NOT_RIGHT)


async def _work(
    settings: Settings, administrator: Administrator | None, *, sets: bool
) -> tuple[list[Permission], list[str]]:
    from dirbridge.connectors.ad import permissions as rights

    done = []
    if sets and administrator is not None:
        done = [sentence async for sentence in rights.repair(settings, administrator)]
    return await rights.examine(settings, administrator), done


def _chosen(settings: Any, domain: str | None) -> list[Settings]:
    """Give the settings of the domains of Active Directory that are meant."""
    found = [
        each.settings
        for each in settings.domains
        if each.kind == "active-directory" and domain in {None, each.name, each.settings.name}
    ]
    if not found:
        raise ConfigurationError(
            f"The agent's settings name no domain of Active Directory{f' {domain}' if domain else ''}.",
            code="DomainUnknown",
            recommended_action=f"They name: {', '.join(settings.names)}.",
        )
    return found


def _secret(administrator: str, file: Path | None) -> str:
    if file is None:
        return str(click.prompt(f"Password of {administrator}", hide_input=True, err=True))
    try:
        return read_password(file)
    except ValueError as error:
        raise ConfigurationError(
            f"The file of the administrator's password cannot be used: {error}.",
            code="PasswordFileUnusable",
            recommended_action=f"Put the password into {file}, one line, and run chmod 600 on it.",
        ) from error


def _show(settings: Settings, found: list[Permission], done: list[str]) -> None:
    for sentence in done:
        click.echo(sentence)
    console().print(Text(f"{plain(settings.user)} in {plain(settings.name)}", style="bold"), soft_wrap=True)
    for one in found:
        word, style = _LOOK[one.state]
        said = f"{plain(one.right)} on {plain(one.place)}, {_PURPOSES[one.purpose]}"
        console().print(Text.assemble((f"  {word}  ", style), said), soft_wrap=True)
