"""`dirbridge jobs staged`, `allow-deletes`, `reject-deletes`: removals that wait for a person's word."""

from __future__ import annotations

from itertools import islice
from typing import Any
from urllib.parse import quote

import click

from dirbridge.cli.client import Client, Profile, console, options, plain, print_json, table
from dirbridge.cli.finding import Found, find

MOST_IN_A_PAGE = 999

_job = click.argument("job", required=False)
_only = click.option("--only", "ids", multiple=True, metavar="ID", help="One of those that wait; may be repeated.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@_job
@click.option("--rejected", is_flag=True, help="Show what was rejected instead.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="How many to show.")
@options
def staged(profile: Profile, job: str | None, rejected: bool, limit: int, as_json: bool) -> None:
    """Show what a job will not remove without a person's word."""
    with Client.open(profile) as client:
        found = find(client, job)
        where = {"filter": "state eq 'rejected'"} if rejected else {}
        total = client.get(_path(found), top=1, count="true", **where)["@odata.count"]
        rows = list(islice(client.pages(_path(found), top=min(limit, MOST_IN_A_PAGE), **where), limit))
    if as_json:
        print_json(rows)
        return
    if not rows:
        click.echo(f"Nothing {'was rejected' if rejected else 'waits'}.")
        return
    shown = table("Action", "Why", "Type", "Name", "Object", "Group", "Since", "Id")
    for row in rows:
        source, target = row["sourceIdentity"], row["targetIdentity"]
        shown.add_row(
            plain(row["action"]),
            plain(row["evidence"]),
            plain(source["identityType"]),
            plain(source["displayName"]),
            plain(target["displayName"] or target["id"]),
            plain(row["group"]["displayName"] or row["group"]["id"]) if row["group"] else "",
            plain(row["sinceDateTime"] or ""),
            plain(row["id"]),
        )
    console().print(shown)
    if total > len(rows):
        click.echo(f"{total - len(rows):,} more; --limit shows them.")


@click.command("allow-deletes")
@_job
@_only
@_yes
@options
def allow_deletes(profile: Profile, job: str | None, ids: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Let a job remove what waits for a person's word, all of it or what --only names."""
    return _decide(
        profile, job, ids, yes=yes, as_json=as_json, word="allow", asked="Remove", done="will be removed now"
    )


@click.command("reject-deletes")
@_job
@_only
@_yes
@options
def reject_deletes(profile: Profile, job: str | None, ids: tuple[str, ...], yes: bool, as_json: bool) -> int:
    """Keep what waits for a person's word, all of it or what --only names."""
    return _decide(
        profile,
        job,
        ids,
        yes=yes,
        as_json=as_json,
        word="reject",
        asked="Keep",
        done="will stay",
    )


def _decide(
    profile: Profile,
    job: str | None,
    ids: tuple[str, ...],
    *,
    yes: bool,
    as_json: bool,
    word: str,
    asked: str,
    done: str,
) -> int:
    """Ask, then speak; gives 1 where something that was named does not wait any more."""
    with Client.open(profile) as client:
        found = find(client, job)
        number = len(set(ids)) or client.get(_path(found), top=1, count="true")["@odata.count"]
        if number and not yes:
            click.confirm(f"{asked} {number:,} objects or members of {plain(found['domain'])}?", abort=True, err=True)
        body = {"ids": list(ids)} if ids else {"all": True}
        said: dict[str, Any] = {"count": 0, "missing": []}
        if number:
            said = client.post(f"{_path(found)}/{word}", body)
    if as_json:
        print_json({"id": found["id"], **said})
    else:
        click.echo(f"{said['count']:,} {done}." if number else "Nothing waits.")
        for id in said["missing"]:
            click.echo(f"{plain(id)} does not wait for a word.", err=True)
    return 1 if said["missing"] else 0


def _path(job: Found) -> str:
    return f"/beta/dirbridge/jobs/{quote(str(job['id']), safe='')}/stagedRemovals"
