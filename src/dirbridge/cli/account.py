"""`dirbridge jobs repair-account`: the account as which jobs write the tenant directory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from dirbridge.cli.client import Client, Profile, options, plain, print_json

_WORDS = {
    "created": "It was gone and was made anew.",
    "restored": "It was deleted and came back.",
    "enabled": "It was disabled and is enabled.",
    "role": "It has its role again.",
    "credential": "It has a new credential for each job.",
}


@click.command("repair-account")
@click.option(
    "--expires-in", type=click.IntRange(1, 3650), metavar="DAYS", help="Let the new credentials end [they do not]."
)
@options
def repair_account(profile: Profile, expires_in: int | None, as_json: bool) -> None:
    """Repair the synchronization service account, as which all jobs write the tenant directory.

    It is made, restored, enabled and given its role as is needed, and each job gets a new credential. Jobs in
    quarantine run at once and go on from where they were.
    """
    ends = None if expires_in is None else (datetime.now(UTC) + timedelta(days=expires_in)).isoformat()
    with Client.open(profile) as client:
        wish = {"expirationDateTime": ends} if ends else None
        done = client.post("/beta/dirbridge/synchronizationAccount/repair", wish)
    done.pop("@odata.context", None)
    if as_json:
        print_json(done)
        return
    click.echo(f"{plain(done['userPrincipalName'])} was repaired.")
    for each in done["repaired"]:
        click.echo(f"  {_WORDS.get(each, plain(each))}")
    for job in done["jobsDueNow"]:
        click.echo(f"  Job {plain(job)} is in quarantine and runs now.")
