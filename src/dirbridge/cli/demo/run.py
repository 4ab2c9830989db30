"""The demo from beginning to end: a domain, a company in it, the service, an agent, a job, and a dozen changes.

Everything is done with the commands that an administrator would use; only what is checked is checked by other means.
What was started is stopped in reverse order, however the demo ends.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dirbridge.cli.demo import changes, children, company, verify
from dirbridge.cli.demo.api import Api
from dirbridge.cli.demo.changes import Arrival, Change, Scene
from dirbridge.cli.demo.children import Child, ChildEnded
from dirbridge.cli.demo.company import line
from dirbridge.cli.demo.domain import Domain
from dirbridge.cli.demo.openldap import OpenLdap
from dirbridge.cli.demo.reader import Reader
from dirbridge.cli.demo.screen import Screen
from dirbridge.cli.demo.verify import Domains
from dirbridge.contract.errors import ConfigurationError, DirbridgeError

REALM = "contoso.test"
ACCOUNT = "svc-dirbridge"
START_SECONDS = 60
INITIAL_SECONDS = 300
CYCLE_SECONDS = 60
LOOK_SECONDS = 0.2
INTERVAL_SECONDS = 1
"""How often the job of the demo looks for changes; a job that is made without saying so takes two minutes."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    Attributes:
        once: verify and leave, instead of running until told to stop.
        keep: folder that gets all files and stays; None for one that is removed.
        users: how many people the company has.
        source: the directory, `active-directory` or `openldap`.
    """

    once: bool
    keep: Path | None
    users: int
    source: str = "active-directory"


@dataclass(slots=True)
class Outcome:
    """What came of the demo.

    Attributes:
        objects, members: how many there had to be in the tenant in the end.
        error: why it did not come to its end; None where it did.
    """

    objects: int = 0
    members: int = 0
    initial_seconds: float | None = None
    arrivals: list[Arrival] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    is_complete: bool = False
    error: DirbridgeError | None = None

    @property
    def ok(self) -> bool:
        arrived = all(arrival.seconds is not None for arrival in self.arrivals)
        return self.is_complete and arrived and not self.differences and self.error is None

    def document(self) -> dict[str, Any]:
        """Give the summary as programs read it."""
        document: dict[str, Any] = {
            "ok": self.ok,
            "objects": self.objects,
            "members": self.members,
            "initialSeconds": _rounded(self.initial_seconds),
            "changes": [
                {"change": arrival.change.name, "latencySeconds": _rounded(arrival.seconds)}
                for arrival in self.arrivals
            ],
            "differences": self.differences,
        }
        if self.error is not None:
            document["error"] = {"code": self.error.code, "message": self.error.reason}
        return document


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the service, as `dirbridge init` said and `dirbridge serve` confirmed."""

    url: str
    ca_file: Path
    tenant: str
    admin_user: str
    admin_password: str
    client_id: str
    client_secret: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the other commands find the service."""
        return {
            "DIRBRIDGE_URL": self.url,
            "DIRBRIDGE_CA_FILE": str(self.ca_file),
            "DIRBRIDGE_TENANT": self.tenant,
            "DIRBRIDGE_CLIENT_ID": self.client_id,
            "DIRBRIDGE_CLIENT_SECRET": self.client_secret,
        }


async def run(kind: type[Demo], options: Options, screen: Screen, outcome: Outcome) -> None:
    """Run a kind of demo; what goes wrong is shown and noted in the outcome."""
    try:
        with _folder(options.keep) as folder:
            async with AsyncExitStack() as stack:
                demo = kind(options, screen, folder, stack, outcome)
                try:
                    await demo.play()
                except DirbridgeError as error:
                    outcome.error = error
                    remedy = error.recommended_action
                    if options.keep is None:
                        remedy = f"{remedy} The demo's files go now; --keep DIR keeps them.".strip()
                    screen.failure(error.reason, remedy, demo.relevant_log(error))
                finally:
                    if options.keep is not None:
                        demo.keep_domain_logs()
    except DirbridgeError as error:
        outcome.error = error
        screen.failure(error.reason, error.recommended_action, "")


class Demo:
    """One run of the demo.

    Attributes:
        called: what the directory is called. remark: what there is to see. source: its kind, as jobs name it.
        changes: that are made and looked for.
    """

    called = "AD"
    remark = "A made-up company in a throw-away Active Directory, brought to the tenant."
    source = "active-directory"
    changes: tuple[Change, ...] = changes.CHANGES

    def __init__(self, options: Options, screen: Screen, folder: Path, stack: AsyncExitStack, outcome: Outcome) -> None:
        self._options = options
        self._screen = screen
        self._folder = folder
        self._stack = stack
        self._outcome = outcome
        self._children: list[Child] = []
        self._domain = Domain(REALM, "CONTOSO")

    @property
    def directory(self) -> Domain | OpenLdap:
        """The server of the directory."""
        return self._domain

    @property
    def objects(self) -> int:
        """How many objects the initial sync brings."""
        return self._options.users + company.GROUPS + company.CONTACTS

    def relevant_log(self, error: DirbridgeError) -> str:
        """Give the end of the log that may say more of an error: of the process that ended, else of all that run."""
        ended = [child for child in self._children if isinstance(error, ChildEnded) and child.name == error.child]
        shown = ((child, children.tail(child.log)) for child in ended or self._children)
        return "\n\n".join(f"The {child.name} logged last:\n{text}" for child, text in shown if text)

    async def play(self) -> None:
        """Set everything up, show it, and run on until told to stop."""
        self._screen.title("dirbridge demo", self.remark)
        await self._set_up_domain()
        reader = self._stack.enter_context(
            Reader(
                self.directory.ldaps_url,
                self.directory.ca_file,
                self.directory.admin_dn,
                self.directory.admin_password,
                self.directory.base_dn,
            )
        )
        await self._create_account(reader)
        access = await self._start_service()
        api = await self._stack.enter_async_context(
            Api.open(access.url, access.ca_file, access.tenant, access.client_id, access.client_secret)
        )
        await self._start_agent(access)
        await children.watch(self._synchronize(reader, access, api), self._children)

    def keep_domain_logs(self) -> None:
        """Copy what the domain controller logged to where it outlives it."""
        for log in self._domain.folder.glob("*.log"):
            shutil.copy(log, self._folder / f"domain-{log.name}")

    async def _set_up_domain(self) -> None:
        with self._screen.step("Domain controller", "provisioning Samba") as step:
            await self._stack.enter_async_context(self._domain)
            step.detail = f"{REALM} at {self._domain.address}"
        with self._screen.step("Company", "filling the domain") as step:
            contoso = company.make(self._domain.base_dn, REALM, self._options.users)
            await self._domain.load(contoso.entries())
            await self._domain.modify(contoso.references())
            objects = f"{self._options.users} people, {company.GROUPS} groups, {company.CONTACTS} contacts"
            step.detail = f"{objects} in {len(contoso.containers)} OUs"

    async def _create_account(self, reader: Reader) -> None:
        with self._screen.step("Agent's account", "creating it") as step:
            password = f"Aa1-{secrets.token_urlsafe(18)}"
            dn = await self._domain.create_user(ACCOUNT, password, container=company.SERVICE_ACCOUNTS)
            await self._domain.grant_deleted_objects(ACCOUNT)
            held_back = ["changetype: modify", "replace: adminDescription", "adminDescription: User_the agent itself"]
            await reader.modify("\n".join([line("dn", dn), *held_back, "-", ""]))
            write_secret(self._folder / "agent.password", password)
            step.detail = f"{ACCOUNT}, may read deleted objects"

    async def _start_service(self) -> Access:
        with self._screen.step("Service", "starting PostgreSQL and the service") as step:
            data = self._folder / "data"
            printed = await children.command(
                ["init", "--data", str(data), "--domain", REALM, "--json"], {}, self._folder / "init.log"
            )
            made = json.loads(printed)
            service = Child(
                "service",
                ["serve", "--data", str(data), "--listen", "127.0.0.1:0", "--json"],
                self._folder / "service.log",
                {"DIRBRIDGE_TICK_INTERVAL": "0.1", "DIRBRIDGE_LOG_FORMAT": "columns"},
            )
            await self._start(service)
            said = json.loads(await self._within(service.first_line(), "The service did not start"))
            access = Access(
                url=said["baseUrl"],
                ca_file=Path(said["caFile"]),
                tenant=made["tenantId"],
                admin_user=made["adminUser"],
                admin_password=made["adminPassword"],
                client_id=made["clientId"],
                client_secret=made["clientSecret"],
            )
            settings = "".join(f"export {name}='{value}'\n" for name, value in access.environment.items())
            write_secret(self._folder / "environment", settings)
            step.detail = access.url
        return access

    async def _start_agent(self, access: Access) -> None:
        with self._screen.step("Agent", "enrolling it with a one-time code") as step:
            state, settings = self._folder / "agent", self._folder / "agent.toml"
            settings.write_text(self._agent_settings(), encoding="utf-8")
            log = self._folder / "commands.log"
            code = json.loads(
                await children.command(["agent", "code", "--domain", REALM, "--json"], access.environment, log)
            )
            places = ("--settings", str(settings), "--state", str(state))
            await children.command(
                ["agent", "enrol", "--service", access.url, "--code", code["code"], *places, "--json"], {}, log
            )
            await self._start(Child("agent", ["agent", "run", *places], self._folder / "agent.log", {}))
            step.detail = f"enrolled, reads {self.called}"

    def _agent_settings(self) -> str:
        # What JSON writes of texts and lists of texts is TOML too.
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in self._domain_settings().items()]
        return "".join(['log_format = "columns"\n\n[[domain]]\n', *lines])

    def _domain_settings(self) -> dict[str, str | list[str]]:
        return {
            "name": REALM,
            "servers": [self._domain.ldaps_url],
            "ca_file": str(self._domain.ca_file),
            "user": f"{ACCOUNT}@{REALM}",
            "password_file": str(self._folder / "agent.password"),
        }

    async def _synchronize(self, reader: Reader, access: Access, api: Api) -> None:
        with self._screen.step("Job", "creating it") as step:
            job = await self._create_job(access, api)
            step.detail = f"reads {REALM} every {INTERVAL_SECONDS} s"
        await self._initial(api, job, self.objects)
        initial = access.admin_user.partition("@")[2]
        domains = Domains(REALM, frozenset({REALM, initial}), initial)
        await self._verify(reader, api, domains)
        await self._changes(reader, api)
        await self._settle(api, job)
        await self._verify(reader, api, domains)
        self._outcome.is_complete = True
        if not self._options.once:
            self._invite(access)
            await asyncio.Event().wait()

    async def _create_job(self, access: Access, api: Api) -> str:
        """Make a job that looks often, and give its path."""
        printed = await children.command(
            ["jobs", "create", "--domain", REALM, "--source", self.source, "--json"],
            access.environment,
            self._folder / "commands.log",
        )
        made = json.loads(printed)
        job = f"/servicePrincipals/{made['servicePrincipalId']}/synchronization/jobs/{made['id']}"
        await api.patch(job, {"schedule": {"interval": f"PT{INTERVAL_SECONDS}S"}})
        return job

    async def _initial(self, api: Api, job: str, total: int) -> None:
        """Start the job, and show its initial sync until it is through."""
        name, began = "Initial sync", time.monotonic()
        await api.post(f"{job}/start")
        with self._screen.progress(name, total) as show:
            until = time.monotonic() + INITIAL_SECONDS
            while True:
                status = (await api.get(job))["status"]
                done = next(iter(status.get("progress") or ()), None)
                if done is not None:
                    show(done["completedUnits"], done["totalUnits"])
                if _is_steady(status):
                    break
                self._refuse_quarantine(status)
                if time.monotonic() > until:
                    raise DirbridgeError(f"The initial sync was not through after {INITIAL_SECONDS} seconds.")
                await asyncio.sleep(LOOK_SECONDS)
        self._outcome.initial_seconds = seconds = time.monotonic() - began
        self._screen.finished(name, f"{total} objects, {total / seconds:.0f} a second", seconds)

    async def _settle(self, api: Api, job: str) -> None:
        """Wait until a cycle that began after the last write is through."""
        written = datetime.now(UTC)
        until = time.monotonic() + CYCLE_SECONDS
        while time.monotonic() < until:
            status = (await api.get(job))["status"]
            self._refuse_quarantine(status)
            last = status.get("lastSuccessfulExecution")
            if last and datetime.fromisoformat(last["timeBegan"]) > written:
                return
            await asyncio.sleep(LOOK_SECONDS)
        raise DirbridgeError(f"No cycle went through in the {CYCLE_SECONDS} seconds after the last change.")

    def _refuse_quarantine(self, status: dict[str, Any]) -> None:
        quarantine = status.get("quarantine")
        if quarantine:
            error = quarantine.get("error") or {}
            raise DirbridgeError(
                f"The job is in quarantine ({quarantine.get('reason')}): {error.get('message')}",
                code=error.get("code") or "Quarantine",
            )

    async def _verify(self, reader: Reader, api: Api, domains: Domains) -> None:
        with self._screen.step("Verification", f"comparing the tenant with {self.called}") as step:
            objects, members, found = await self._compare(reader, api, domains)
            step.detail = f"{objects} objects and {members} members are as {self.called} says"
            if found:
                step.detail = f"{len(found)} differences between the tenant and {self.called}"
        self._outcome.objects, self._outcome.members = objects, members
        self._outcome.differences += found
        self._screen.differences(found)

    async def _compare(self, reader: Reader, api: Api, domains: Domains) -> tuple[int, int, list[str]]:
        """Give how many objects and members there have to be, and what is otherwise."""
        wanted, found = await verify.differences(reader, api.get, domains)
        return wanted.objects, wanted.memberships, found

    async def _scene(self, reader: Reader, api: Api) -> Scene:
        return await changes.scene(reader, api.get, REALM)

    async def _changes(self, reader: Reader, api: Api) -> None:
        self._screen.heading(f"Changes in {self.called}, and how long after the write the tenant shows them")
        here = await self._scene(reader, api)
        for number, change in enumerate(self.changes, start=1):
            with self._screen.waiting(number, change.sentence):
                check = await change.make(here)
                arrival = await changes.arrival(change, check)
            self._outcome.arrivals.append(arrival)
            self._screen.arrival(number, arrival)
        self._screen.say()

    def _invite(self, access: Access) -> None:
        command = sys.argv[0] if sys.argv[0].endswith("dirbridge") else "dirbridge"
        self._screen.heading("All of it is running. The tenant:")
        self._screen.fact("URL", access.url)
        self._screen.fact("CA certificate", str(access.ca_file))
        self._screen.fact("Administrator", access.admin_user)
        self._screen.fact("Password", access.admin_password)
        self._screen.fact("Tenant id", access.tenant)
        self._screen.fact("Client id", access.client_id)
        self._screen.fact("Client secret", access.client_secret)
        self._screen.heading("The domain:")
        self._screen.fact("Server", self.directory.ldaps_url)
        self._screen.fact("CA certificate", str(self.directory.ca_file))
        self._screen.fact("Administrator", self.directory.admin_dn)
        self._screen.fact("Password", self.directory.admin_password)
        self._screen.heading("In another terminal:")
        self._screen.say(f"  . {self._folder / 'environment'}")
        self._screen.say(f"  {command} jobs list")
        self._screen.say(f"  {command} logs\n")
        self._screen.say("Ctrl-C ends it and removes everything.")

    async def _start(self, child: Child) -> None:
        self._children.append(child)
        self._stack.push_async_callback(child.stop)
        await child.start()

    async def _within(self, work: Any, complaint: str) -> Any:
        try:
            async with asyncio.timeout(START_SECONDS):
                return await children.watch(work, self._children)
        except TimeoutError:
            raise DirbridgeError(f"{complaint} within {START_SECONDS} seconds.") from None


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """Give the folder for everything, which is removed unless it is to be kept."""
    if keep is not None:
        try:
            keep.mkdir(parents=True, exist_ok=True)
            occupied = any(keep.iterdir())
        except OSError as error:
            raise ConfigurationError(
                f"The folder {keep} cannot be used: {error.strerror}.",
                recommended_action="Name another one with --keep.",
            ) from error
        if occupied:
            raise ConfigurationError(
                f"The folder {keep} is not empty.", recommended_action="Name a new or an empty one with --keep."
            )
    folder = Path(tempfile.mkdtemp(prefix="dirbridge-demo-")) if keep is None else keep.absolute()
    folder.chmod(0o711)  # the embedded database runs as a user of its own, and must pass through
    try:
        yield folder
    finally:
        if keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def write_secret(file: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    file.touch(mode=0o600)
    file.write_text(text, encoding="utf-8")


def _is_steady(status: dict[str, Any]) -> bool:
    first = status.get("steadyStateFirstAchievedTime")
    return bool(first) and not str(first).startswith("0001-")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
