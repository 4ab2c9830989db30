"""The command `dirbridge`: which subcommands there are, and how failures look.

A subcommand's module is imported when it is used, so that tools work where neither service nor agent is installed.
Every failure leaves one sentence and its remedy on standard error, as JSON where `--json` was asked for, and one of the
exit codes below.
"""

from __future__ import annotations

import importlib
import io
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

import dirbridge
from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError, TransientError

OK, FAILED, USAGE, CONFIGURATION, NOT_PERMITTED, NOT_REACHABLE = range(6)
INTERRUPTED = 130

COMMANDS: Mapping[str, tuple[str, str]] = {
    "serve": ("dirbridge.cli.serve:serve", "Run the service."),
    "init": ("dirbridge.cli.init:init", "Make the tenant, its keys and its first administrator."),
    "agent": ("dirbridge.cli.agent:agent", "Enrol and run the agent beside a directory."),
    "jobs": ("dirbridge.cli.jobs:jobs", "Create, start, watch synchronization jobs."),
    "schema": ("dirbridge.cli.schema:schema", "Show and change scope and mapping of a job."),
    "provision": ("dirbridge.cli.provision:provision", "Provision one user or group now."),
    "preview": ("dirbridge.cli.preview:preview", "Show what a job's next whole cycle would do."),
    "notifications": ("dirbridge.cli.notifications:notifications", "See what people were told, and try it."),
    "admin": ("dirbridge.cli.admin:admin", "Manage administrators, applications and signing keys."),
    "release": ("dirbridge.cli.release:release", "Sign releases of the agent, and publish them."),
    "logs": ("dirbridge.cli.logs:logs", "Show the provisioning log."),
    "demo": ("dirbridge.cli.demo.command:demo", "Show it all with a throw-away domain controller."),
}
"""Name to `module:attribute`, and the line that the overview shows."""

_EXTRAS = {"serve": "service", "init": "service", "demo": "agent,service", "agent": "agent", "release": "agent"}


class LazyGroup(click.Group):
    """A group that knows its subcommands by name and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise _missing(cmd_name, error) from error
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand. Some import a package only when they come to use it."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            raise _missing(ctx.invoked_subcommand or "", error) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _missing(name: str, error: ModuleNotFoundError) -> Exception:
    """Say which package a subcommand lacks; what is missing of our own is a fault."""
    package = (error.name or "").partition(".")[0]
    if package == "dirbridge":
        return error
    return ConfigurationError(
        f"`dirbridge {name}` needs the package '{package}', which is not installed.",
        code="PackageMissing",
        recommended_action=f"In a checkout of dirbridge: pip install '.[{_EXTRAS.get(name, 'service')}]'.",
    )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(dirbridge.__version__, prog_name="dirbridge")
def cli() -> None:
    """Bring the people and groups of Active Directory to a tenant directory that speaks Microsoft Graph.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 wrong configuration, 4 not permitted, 5 not reachable.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a name that the terminal cannot write must not end the list
    sys.exit(run(given))


def run(arguments: list[str]) -> int:
    """Run the command; gives the exit code."""
    try:
        outcome = cli.main(arguments, prog_name="dirbridge", standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return USAGE
    except click.UsageError as error:
        complain(_of_click(error), as_json=_wants_json(arguments), usage=_usage(error))
        return USAGE
    except click.ClickException as error:
        complain(_of_click(error), as_json=_wants_json(arguments))
        return FAILED
    except (click.Abort, KeyboardInterrupt) as left:
        # Without a cause it was a question that nobody answered, or not with yes; Ctrl-C while something ran has one.
        if isinstance(left, click.Abort) and left.__cause__ is None and not _wants_json(arguments):
            told = "Nothing was done, as nobody said yes or gave what was asked for."
            click.echo(f"\n{told} An option does it without asking: see --help.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output is gone; keep the interpreter from complaining when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except DirbridgeError as error:
        complain(error, as_json=_wants_json(arguments))
        logging.getLogger(__name__).debug("The command failed.", exc_info=error)
        return exit_code(error)
    return outcome if isinstance(outcome, int) else OK


def exit_code(error: DirbridgeError) -> int:
    """Give the exit code that stands for an error."""
    match error:
        case CredentialError():
            return NOT_PERMITTED
        case ConfigurationError():
            return CONFIGURATION
        case TransientError():
            return NOT_REACHABLE
        case _:
            return FAILED


def complain(error: DirbridgeError, *, as_json: bool, usage: str = "") -> None:
    """Say on standard error what failed and what to do."""
    if as_json:
        body: dict[str, Any] = {"code": error.code, "message": error.reason}
        body |= {"recommendedAction": error.recommended_action} if error.recommended_action else {}
        body |= {"details": error.details} if error.details else {}
        unicode = sys.stderr.encoding.lower().startswith("utf")
        click.echo(json.dumps({"error": body}, ensure_ascii=not unicode), err=True)
        return
    if usage:
        click.echo(usage, err=True)
    click.echo(f"{click.style('Error:', fg='red', bold=True)} {error.reason}", err=True)
    if error.recommended_action:
        click.echo(f"       {error.recommended_action}", err=True)


def _of_click(error: click.ClickException) -> DirbridgeError:
    code = "WrongUsage" if isinstance(error, click.UsageError) else "Failed"
    return DirbridgeError(error.format_message(), code=code)


def _usage(error: click.UsageError) -> str:
    if error.ctx is None:
        return ""
    return f"{error.ctx.get_usage()}\nTry '{error.ctx.command_path} --help'.\n"


def _wants_json(arguments: Sequence[str]) -> bool:
    return "--json" in arguments
