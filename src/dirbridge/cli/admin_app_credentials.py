"""`dirbridge admin app add-secret` and its like: what applications prove themselves with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from dirbridge.cli import applications
from dirbridge.cli.client import Client, Profile, options, plain, print_json
from dirbridge.cli.telling import moment
from dirbridge.contract.errors import ConfigurationError


@click.command("add-secret")
@click.argument("name")
@click.option("--display-name", metavar="TEXT", default="", help="What to remember it by.")
@click.option("--days", type=click.IntRange(1, 730), default=730, show_default=True, help="How long it is good.")
@options
def add_secret(profile: Profile, name: str, display_name: str, days: int, as_json: bool) -> None:
    """Make a client secret for NAME. It is shown once; those that it has stay good."""
    ends = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    with Client.open(profile) as client:
        found = applications.find(client, name)
        wish = {"passwordCredential": {"displayName": display_name, "endDateTime": ends}}
        made = client.post(f"/applications/{found['appId']}/addPassword", wish)
    made.pop("@odata.context", None)
    if as_json:
        print_json({"appId": found["appId"], **made})
        return
    click.echo(f"Client id: {found['appId']}")
    click.echo(f"Secret: {made['secretText']}")
    click.echo(f"It is not shown again. It is good until {moment(made['endDateTime'])}; its id is {made['keyId']}.")


@click.command("remove-secret")
@click.argument("name")
@click.argument("key_id")
@options
def remove_secret(profile: Profile, name: str, key_id: str, as_json: bool) -> None:
    """Remove the client secret KEY_ID of NAME, and the tokens that NAME has."""
    with Client.open(profile) as client:
        found = applications.find(client, name)
        if key_id.lower() not in {each["keyId"] for each in found["passwordCredentials"]}:
            raise ConfigurationError(
                f"{found['displayName']} has no secret '{key_id}'.",
                code="SecretNotFound",
                recommended_action="`dirbridge admin app show` lists those that it has.",
            )
        client.post(f"/applications/{found['appId']}/removePassword", {"keyId": key_id})
    _say(f"The secret {plain(key_id)} was removed.", as_json)


@click.command("add-certificate")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--display-name", metavar="TEXT", help="What to remember it by [its subject].")
@options
def add_certificate(profile: Profile, name: str, file: Path, display_name: str | None, as_json: bool) -> None:
    """Register the certificate in FILE, in PEM, for NAME. A private key has no business there."""
    text = _certificate(file)
    with Client.open(profile) as client:
        found = applications.find(client, name)
        there = [{"keyId": each["keyId"]} for each in found["keyCredentials"]]
        new = {"key": text, "type": "AsymmetricX509Cert", "usage": "Verify", "displayName": display_name}
        client.patch(f"/applications/{found['appId']}", {"keyCredentials": [*there, new]})
        now = applications.find(client, found["appId"])["keyCredentials"]
    known = {each["keyId"] for each in there}
    added = [each for each in now if each["keyId"] not in known]
    if as_json:
        print_json([{name: each[name] for name in ("keyId", "displayName", "endDateTime")} for each in added])
        return
    if not added:
        click.echo(f"{plain(found['displayName'])} has this certificate already.")
    for each in added:
        click.echo(f"The certificate is good until {moment(each['endDateTime'])}; its id is {each['keyId']}.")


@click.command("remove-certificate")
@click.argument("name")
@click.argument("key_id")
@options
def remove_certificate(profile: Profile, name: str, key_id: str, as_json: bool) -> None:
    """Remove the certificate KEY_ID of NAME, and the tokens that NAME has."""
    with Client.open(profile) as client:
        found = applications.find(client, name)
        left = [{"keyId": each["keyId"]} for each in found["keyCredentials"] if each["keyId"] != key_id.lower()]
        if len(left) == len(found["keyCredentials"]):
            raise ConfigurationError(
                f"{found['displayName']} has no certificate '{key_id}'.",
                code="CertificateNotFound",
                recommended_action="`dirbridge admin app show` lists those that it has.",
            )
        client.patch(f"/applications/{found['appId']}", {"keyCredentials": left})
    _say(f"The certificate {plain(key_id)} was removed.", as_json)


def _certificate(file: Path) -> str:
    """Read the first certificate of a file, and nothing else of it."""
    try:
        text = file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text, and PEM is expected"
        raise ConfigurationError(f"'{file}' cannot be read: {why}.", code="FileUnreadable") from error
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    if begin not in text or end not in text:
        raise ConfigurationError(
            f"'{file}' holds no certificate in PEM: a part from '{begin}' to '{end}' is expected.",
            code="FileUnreadable",
        )
    return begin + text.partition(begin)[2].partition(end)[0] + end


def _say(said: str, as_json: bool) -> None:
    if as_json:
        print_json({})
    else:
        click.echo(said)
