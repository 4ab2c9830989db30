"""`dirbridge schema`: a job's schema document - what is read, who is in scope, and how it is mapped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click
from rich.table import Table

from dirbridge.cli.client import Client, Profile, console, options, plain, print_json
from dirbridge.cli.finding import find, path
from dirbridge.contract.errors import ConfigurationError

_wanted = click.argument("job", required=False)
_file = click.Path(dir_okay=False, path_type=Path)


@click.group()
def schema() -> None:
    """Show and change a job's schema document: scope and mapping.

    JOB is a job's id, the beginning of it, or its domain; where there is only one job, it can be left out. After a
    change the job's next cycle reads everything; `dirbridge preview --schema` shows what a change would do.
    """


@schema.command()
@_wanted
@click.option("--output", type=_file, help="Write it there.")
@options
def get(profile: Profile, job: str | None, output: Path | None, as_json: bool) -> None:  # noqa: ARG001 - it is JSON
    """Print the whole document, as `put` takes it."""
    with Client.open(profile) as client:
        document = client.get(f"{path(find(client, job))}/schema")
    document.pop("@odata.context", None)
    if output is None:
        print_json(document)
        return
    try:
        output.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"'{output}' cannot be written: {error.strerror}.", code="FileUnwritable") from error
    click.echo(f"The schema document is in {output}.")


@schema.command()
@click.argument("file", type=_file)
@click.option("--job", help="The job: its id, the beginning of it, or its domain, where there are several.")
@options
def put(profile: Profile, file: Path, job: str | None, as_json: bool) -> None:
    """Replace the whole document by FILE. What is wrong in it is listed, each with its path."""
    document = read(file)
    with Client.open(profile) as client:
        found = find(client, job)
        client.call("PUT", f"{path(found)}/schema", document)
    _said(found, "has the new schema document", as_json=as_json)


@schema.command()
@_wanted
@click.option("--yes", is_flag=True, help="Do not ask.")
@options
def reset(profile: Profile, job: str | None, yes: bool, as_json: bool) -> None:
    """Go back to the default mapping; scope and changed mappings are lost."""
    with Client.open(profile) as client:
        found = find(client, job)
        if not yes:
            click.confirm(f"Drop scope and mapping of the job of {plain(found['domain'])}?", abort=True, err=True)
        client.delete(f"{path(found)}/schema")
    _said(found, "has the default schema document", as_json=as_json)


@schema.command()
@_wanted
@click.option("--container", "containers", multiple=True, metavar="NAME", help="An OU: distinguished name or GUID.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="A group: distinguished name or GUID.")
@click.option("--everything", is_flag=True, help="Take the whole domain again.")
@options
def scope(
    profile: Profile,
    job: str | None,
    containers: tuple[str, ...],
    groups: tuple[str, ...],
    everything: bool,
    as_json: bool,
) -> None:
    """Show which OUs and groups are in scope, or choose them; what is chosen replaces what was.

    Both can be repeated. An entry is in scope if it lies in one of the OUs, at any depth, or belongs to one of the
    groups, at any depth. What is new is looked up by an agent of the domain, so one must run.
    """
    if everything and (containers or groups):
        raise click.UsageError("--everything does not go with --container or --group.")
    with Client.open(profile) as client:
        found = find(client, job)
        if everything or containers or groups:
            rules = client.get(f"{path(found)}/schema")["synchronizationRules"]
            for rule in rules:
                rule["containerFilter"] = {"includedContainers": list(containers)}
                rule["groupFilter"] = {"includedGroups": list(groups)}
            client.patch(f"{path(found)}/schema", {"synchronizationRules": rules})
        chosen = client.get(f"/beta/dirbridge/jobs/{quote(str(found['id']), safe='')}/scope")
    chosen.pop("@odata.context", None)
    if as_json:
        print_json(chosen)
        return
    for rule in chosen["rules"]:
        click.echo(f"{plain(rule['name'])}:")
        if not rule["containers"] and not rule["groups"]:
            click.echo("  the whole domain")
        for kind, each in [("OU   ", one) for one in rule["containers"]] + [("group", one) for one in rule["groups"]]:
            click.echo(f"  {kind} {each['id']}  {plain(_known_as(each))}")


def _known_as(chosen: dict[str, Any]) -> str:
    """Say what a container or group is called now, and what is wrong with it."""
    name = chosen["canonicalName"] or chosen["displayName"] or ""
    remarks = {
        "missing": f"missing: {chosen.get('reason', 'the directory does not show it')}",
        "unknown": "not read yet",
    }
    remark = remarks.get(chosen["state"], "")
    return f"{name} ({remark})".strip() if remark else str(name)


@schema.command()
@click.argument("expression")
@click.option("--job", help="The job: its id, the beginning of it, or its domain, where there are several.")
@click.option("--with", "values", multiple=True, metavar="NAME=VALUE", help="An attribute to try it on; repeatable.")
@options
def expression(profile: Profile, expression: str, job: str | None, values: tuple[str, ...], as_json: bool) -> int:
    """Read an expression, and work it out on the attributes that are given. Exit code 1 where either fails."""
    properties: dict[str, list[str]] = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--with takes NAME=VALUE; found '{text}'.")
        properties.setdefault(name, []).append(value)
    given = [{"key": name, "value": found[0] if len(found) == 1 else found} for name, found in properties.items()]
    wish = {"expression": expression, "testInputObject": {"properties": given}}
    with Client.open(profile) as client:
        answer = client.post(f"{path(find(client, job))}/schema/parseExpression", wish)
    answer.pop("@odata.context", None)
    works = bool(answer["parsingSucceeded"] and answer["evaluationSucceeded"])
    if as_json:
        print_json(answer)
    elif works:
        for result in answer["evaluationResult"] or ["(no value)"]:
            click.echo(plain(str(result)))
    else:
        error = answer.get("error") or {}
        click.echo(plain(f"{error.get('code', '')}: {error.get('message', '')}"), err=True)
    return 0 if works else 1


@schema.command()
@_wanted
@options
def functions(profile: Profile, job: str | None, as_json: bool) -> None:
    """List the functions of the mapping language with their parameters."""
    with Client.open(profile) as client:
        found = list(client.pages(f"{path(find(client, job))}/schema/functions"))
    if as_json:
        print_json(found)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("Function", no_wrap=True)
    table.add_column("Parameters")
    for each in found:
        parameters = ", ".join(
            name if parameter["required"] else f"[{name}]"
            for parameter in each["parameters"]
            for name in [parameter["name"] + ("…" if parameter.get("allowMultipleOccurrences") else "")]
        )
        table.add_row(plain(each["name"]), plain(parameters))
    console().print(table)


def read(file: Path) -> Any:
    """Read a JSON document from a file.

    Raises:
        ConfigurationError: it cannot be read, or is none.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"'{file}' cannot be read: {error.strerror}.", code="FileUnreadable") from error
    except ValueError as error:
        raise ConfigurationError(f"'{file}' is no JSON document: {error}.", code="FileUnreadable") from error


def _said(found: dict[str, Any], said: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"id": found["id"]})
    else:
        click.echo(f"The job of {plain(found['domain'])} {said}; its next cycle reads everything.")
