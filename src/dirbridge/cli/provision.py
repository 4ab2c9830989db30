"""`dirbridge provision`: one user or group through the steps of a cycle, at once, with what each step saw."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.table import Table

from dirbridge.cli.client import Client, Profile, console, options, plain, print_json
from dirbridge.cli.finding import find, path


@click.command()
@click.argument("name")
@click.option("--job", help="The job: its id, the beginning of it, or its domain, where there are several.")
@click.option("--type", "kind", default="", metavar="TYPE", help="What NAME must be: user, group, contact, ...")
@click.option("--member", "members", multiple=True, metavar="NAME", help="With a group: up to five of its members.")
@click.option("--regardless-of-scope", is_flag=True, help="Provision it although it is not in scope.")
@options
def provision(
    profile: Profile,
    name: str,
    job: str | None,
    kind: str,
    members: tuple[str, ...],
    regardless_of_scope: bool,
    as_json: bool,
) -> int:
    """Provision one user or group now, and show each step.

    NAME is a distinguished name, a sign-in name, an account name or an objectGUID. The job may be paused. Exit code 1
    where it failed.
    """
    subject: dict[str, Any] = {"objectId": name, "objectTypeName": kind}
    if members:
        subject["links"] = {"members": [{"objectId": each} for each in members]}
    demand = {"parameters": [{"subjects": [subject]}], "regardlessOfScope": regardless_of_scope}
    with Client.open(profile) as client:
        answer = client.post(f"{path(find(client, job))}/provisionOnDemand", demand)
    outcome, document = json.loads(answer["key"]), json.loads(answer["value"])
    if as_json:
        print_json({**outcome, "value": document})
    else:
        _print(outcome, document)
    return 1 if outcome["result"] == "Failure" else 0


def _print(outcome: dict[str, Any], document: dict[str, Any]) -> None:
    screen = console()
    for number, step in enumerate(document["provisioningSteps"], 1):
        screen.print(f"{number}. {step['status']:<8} {plain(step['description'])}", soft_wrap=True)
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column()
        for key, value in step["details"].items():
            if key not in {"type", "name", "passed"}:
                table.add_row(f"     {plain(key)}", plain(value))
        if table.row_count:
            screen.print(table)
    for changed in document["modifiedProperties"]:
        was = "" if changed["oldValue"] is None else f"{changed['oldValue']} → "
        screen.print(plain(f"   {changed['displayName']}: {was}{changed['newValue'] or '(cleared)'}"), soft_wrap=True)
    details = outcome["details"]
    said = f": {details['errorCode']}: {details['errorMessage']}" if details else ""
    screen.print(plain(f"{outcome['result']} ({document['action']}){said}"), soft_wrap=True)
    remedy = document["statusInfo"].get("recommendedAction")
    for line in (remedy, document.get("remark") if not details else None):
        if line:
            screen.print(plain(line), soft_wrap=True)
