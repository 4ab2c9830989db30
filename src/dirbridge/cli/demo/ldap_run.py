"""The demo with an OpenLDAP server in place of a domain controller: what is different from `run`."""

from __future__ import annotations

import shutil
from contextlib import AsyncExitStack
from pathlib import Path

from dirbridge.cli.demo import changes, ldap_changes, ldap_company, ldap_verify
from dirbridge.cli.demo.api import Api
from dirbridge.cli.demo.changes import Change, Scene
from dirbridge.cli.demo.openldap import READER_PASSWORD, OpenLdap
from dirbridge.cli.demo.reader import Reader
from dirbridge.cli.demo.run import REALM, Demo, Options, Outcome, write_secret
from dirbridge.cli.demo.screen import Screen
from dirbridge.cli.demo.verify import Domains


class LdapDemo(Demo):
    """One run of the demo on OpenLDAP."""

    called = "LDAP"
    remark = "A made-up company in a throw-away OpenLDAP directory, brought to the tenant."
    source = "ldap"
    changes: tuple[Change, ...] = ldap_changes.CHANGES

    def __init__(self, options: Options, screen: Screen, folder: Path, stack: AsyncExitStack, outcome: Outcome) -> None:
        super().__init__(options, screen, folder, stack, outcome)
        self._server = OpenLdap(REALM)
        self._objects = 0

    @property
    def directory(self) -> OpenLdap:
        return self._server

    @property
    def objects(self) -> int:
        return self._objects

    def keep_domain_logs(self) -> None:
        """Copy what the server logged to where it outlives it."""
        for log in self._server.folder.glob("*.log"):
            shutil.copy(log, self._folder / f"openldap-{log.name}")

    async def _set_up_domain(self) -> None:
        with self._screen.step("Directory server", "starting OpenLDAP") as step:
            await self._stack.enter_async_context(self._server)
            step.detail = f"{self._server.base_dn} at {self._server.address}"
        with self._screen.step("Company", "filling the directory") as step:
            contoso = ldap_company.make(self._server.base_dn, REALM, self._options.users)
            await self._server.add(contoso.ldif)
            self._objects = contoso.users + contoso.groups
            step.detail = f"{contoso.users} people, {contoso.groups} groups in {contoso.containers} OUs"

    async def _create_account(self, reader: Reader) -> None:  # noqa: ARG002 - the server came with it
        write_secret(self._folder / "agent.password", READER_PASSWORD)

    def _domain_settings(self) -> dict[str, str | list[str]]:
        return {
            "kind": "ldap",
            "name": REALM,
            "servers": [self._server.ldaps_url],
            "ca_file": str(self._server.ca_file),
            "user": self._server.reader,
            "password_file": str(self._folder / "agent.password"),
        }

    async def _compare(self, reader: Reader, api: Api, domains: Domains) -> tuple[int, int, list[str]]:
        wanted, found = await ldap_verify.differences(reader, api.get, domains.source)
        return wanted.objects, wanted.memberships, found

    async def _scene(self, reader: Reader, api: Api) -> Scene:
        return await ldap_changes.scene(await changes.scene(reader, api.get, REALM))
