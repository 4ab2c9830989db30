"""`dirbridge init`: the tenant, its keys, its first administrator and application, whether `serve` runs or not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import click

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service import logs, process, setup
from dirbridge.service.settings import load
from dirbridge.service.setup import Initialised, Wishes


@click.command()
@click.option("--data", metavar="DIR", help="Folder of the embedded database, the keys and the CA's certificate.")
@click.option("--database-url", metavar="URL", help="PostgreSQL to use instead of the embedded one.")
@click.option("--base-url", metavar="URL", help="Where clients and agents reach the service [https://127.0.0.1:8443].")
@click.option("--domain", "domains", metavar="NAME", multiple=True, help="Verified domain; may be repeated.")
@click.option("--tenant-name", metavar="NAME", help="Name of the tenant [from its first domain].")
@click.option("--new-secret", is_flag=True, help="Make another client secret; those that exist stay good.")
@click.option("--write-profile", is_flag=True, help="Let other commands of this account use the client.")
@click.option("--json", "as_json", is_flag=True, help="Errors as JSON too; the result is JSON anyway.")
def init(
    domains: tuple[str, ...],
    tenant_name: str | None,
    new_secret: bool,
    write_profile: bool,
    as_json: bool,  # noqa: ARG001 - read by `main`
    **given: str | None,
) -> None:
    """Make the tenant and print as JSON how to reach it.

    Can be run again: what is there stays, what is asked for is added. Password and secret are shown when they are made,
    and are null afterwards, because only their hashes are kept.
    """
    settings = load(given)
    logs.configure("warning" if settings.log_level == "info" else settings.log_level, settings.log_format)
    made = asyncio.run(process.initialise(settings, Wishes(tenant_name, domains, new_secret)))
    if write_profile:
        _write_profile(made)
    click.echo(setup.as_text(made.document()), nl=False)


def profile_file() -> Path:
    """Where the command line's profile lies."""
    return Path("~/.config/dirbridge/profile.json").expanduser()


def _write_profile(made: Initialised) -> None:
    file, secret = profile_file(), made.client_secret
    if secret is None:
        try:
            known = json.loads(file.read_text())
            secret = known["clientSecret"] if known["clientId"] == str(made.client_id) else None
        except (OSError, ValueError, KeyError, TypeError):
            secret = None
    if secret is None:
        raise ConfigurationError(
            f"The profile {file} was not written: the client secret was shown when it was made, and is not kept.",
            code="SecretUnknown",
            recommended_action="Add --new-secret to make another one.",
        )
    document = {
        "url": made.tenant.base_url,
        "caFile": str(made.ca_file),
        "tenantId": str(made.tenant.id),
        "clientId": str(made.client_id),
        "clientSecret": secret,
    }
    setup.write_private(file, setup.as_text(document))
