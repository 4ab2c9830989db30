"""A throw-away 389 Directory Server on a loopback address of its own.

`dscreate` writes below /etc and asks systemd; here the server's own template becomes a configuration in one temporary
folder, and ns-slapd runs in the foreground until the test is over, or the process that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import ldap
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate
from ldap.dn import escape_dn_chars

from dirbridge.cli.demo.authority import Authority
from dirbridge.cli.demo.domain import SUPERVISOR, end, environment, free_address, run
from dirbridge.cli.demo.openldap import PLAIN_PORT, PORT
from tests.connectors.ldap.conftest import connect

DATA, SETTINGS = Path("/usr/share/dirsrv/data"), Path("/etc/dirsrv")
START_SECONDS = 30
ADMIN, PASSWORD = "cn=Directory Manager", "Throw-away.1"
READER_PASSWORD = "Pass-word.1"
SYNC_REQUEST = "1.3.6.1.4.1.4203.1.9.1.1"
CHANGE_LOG = "nsslapd-attribute: nsuniqueid:targetUniqueId"
PLUGINS = {
    "Content Synchronization": "",
    "referential integrity postoperation": "referint-membership-attr: manager",
}
"""What is switched on, each with what it is told besides."""

_OFF = re.compile(r"^(nsslapd-pluginEnabled: *)off$", re.IGNORECASE | re.MULTILINE)


class DirectoryServer:
    """One ns-slapd with one database and the plug-ins that syncrepl needs.

    Attributes:
        realm: DNS name for which it stands. base_dn: its head. ldaps_url: where it answers. ca_file: who signed it.
        reader: who may read everything below the head.

    Args:
        change_log: what the retro change log is told.
    """

    def __init__(self, realm: str = "contoso.test", *, change_log: str = CHANGE_LOG) -> None:
        self._plugins = {**PLUGINS, "Retro Changelog Plugin": change_log}
        self.realm = realm
        self.base_dn = ",".join(f"dc={escape_dn_chars(label)}" for label in realm.split("."))
        self.reader = f"cn=dirbridge,ou=service,{self.base_dn}"
        self.admin_dn, self.admin_password = ADMIN, PASSWORD
        self.address = ""
        self.folder = Path(tempfile.gettempdir())
        self._process: asyncio.subprocess.Process | None = None

    @property
    def ldaps_url(self) -> str:
        return f"ldaps://{self.address}:{PORT}"

    @property
    def ca_file(self) -> Path:
        return self.folder / "tls" / "ca.pem"

    async def __aenter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="dirbridge-389-"))
        try:
            self.address = free_address((PORT, PLAIN_PORT))
            await self._prepare()
            await self._launch()
            await asyncio.to_thread(self._fill)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            await end(process)
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def _prepare(self) -> None:
        # The server takes the schema from the folder of its configuration, whatever nsslapd-schemadir says.
        places = ("config", "config/schema", "db", "dbhome", "bak", "ldif", "lock", "log", "run", "lib", "tmp", "tls")
        where = {name: self.folder / name for name in places}
        for place in where.values():
            place.mkdir()
        for file in ("certmap.conf", "slapd-collations.conf"):
            shutil.copy(SETTINGS / "config" / file, where["config"])
        shutil.copy(SETTINGS / "schema" / "99user.ldif", where["config/schema"])
        values = {
            "bak_dir": where["bak"], "cert_dir": where["config"], "config_dir": where["config"], "db_dir": where["db"],
            "db_home_dir": where["dbhome"], "db_lib": "bdb", "ds_passwd": "{CLEAR}" + PASSWORD, "ds_port": "0",
            "ds_suffix": self.base_dn, "ds_user": "root", "fqdn": "localhost", "inst_dir": where["lib"],
            "ldapi": where["run"] / "ldapi.socket", "ldapi_autobind": "off", "ldapi_enabled": "off",
            "ldif_dir": where["ldif"], "lock_dir": where["lock"], "log_dir": where["log"], "rootdn": ADMIN,
            "run_dir": where["run"], "schema_dir": where["config/schema"], "tmp_dir": where["tmp"],
        }  # fmt: skip
        text = (DATA / "template-dse.ldif").read_text()
        for name, value in values.items():
            text = text.replace(f"%{name}%", str(value))
        more = [
            "nsslapd-security: on", f"nsslapd-secureport: {PORT}", f"nsslapd-securelistenhost: {self.address}",
        ]  # fmt: skip
        text = text.replace("cn: config\n", "\n".join(["cn: config", *more, ""]), 1)
        records = text.split("\n\n")
        enabled = [_switched_on(record, self._plugins) for record in records]
        (where["config"] / "dse.ldif").write_text("\n\n".join(enabled))
        await self._make_certificates(where["config"])

    async def _make_certificates(self, place: Path) -> None:
        authority = Authority(self.folder / "tls")
        certificate, key = authority.issue([self.address, "localhost"])
        bundle = self.folder / "tls" / "server.p12"
        private = load_pem_private_key(key.read_bytes(), None)
        public = load_pem_x509_certificate(certificate.read_bytes())
        made = pkcs12.serialize_key_and_certificates(
            b"Server-Cert",
            private,
            public,
            None,
            BestAvailableEncryption(b"x"),  # type: ignore[arg-type]
        )
        bundle.write_bytes(made)
        await run("certutil", "-N", "-d", str(place), "--empty-password")
        await run("certutil", "-A", "-d", str(place), "-n", "CA", "-t", "CT,,", "-a", "-i", str(self.ca_file))
        await run("pk12util", "-i", str(bundle), "-d", str(place), "-W", "x", "-K", "")

    async def _launch(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "TERM", "sh", "-c", SUPERVISOR, "sh", str(self.folder)),
            *(
                "/usr/sbin/ns-slapd",
                "-D",
                str(self.folder / "config"),
                "-i",
                str(self.folder / "run" / "pid"),
                "-d",
                "0",
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(b"start\n")
        await self._process.stdin.drain()

    def _fill(self) -> None:
        """Make the database, its head, and the account that reads."""
        handle = self._connect()
        rule = f'(version 3.0; acl "reads"; allow (read, search, compare) userdn = "ldap:///{self.reader}";)'
        suffix = escape_dn_chars(self.base_dn)
        backend = "cn=userRoot,cn=ldbm database,cn=plugins,cn=config"
        added: list[tuple[str, dict[str, str]]] = [
            (backend, {"objectClass": "extensibleObject nsBackendInstance", "nsslapd-suffix": self.base_dn}),
            (
                f"cn={suffix},cn=mapping tree,cn=config",
                {
                    "objectClass": "extensibleObject nsMappingTree",
                    "nsslapd-state": "backend",
                    "nsslapd-backend": "userRoot",
                },
            ),
            (self.base_dn, {"objectClass": "domain", "aci": f'(targetattr != "userPassword"){rule}'}),
            (f"ou=service,{self.base_dn}", {"objectClass": "organizationalUnit"}),
            (self.reader, {"objectClass": "inetOrgPerson", "sn": "x", "userPassword": READER_PASSWORD}),
        ]
        for dn, values in added:
            classes = values.pop("objectClass").encode().split()
            rest = [(name, [value.encode()]) for name, value in values.items()]
            handle.add_s(dn, [("objectClass", classes), *rest])
        limits = [(ldap.MOD_REPLACE, name, [b"-1"]) for name in ("nsSizeLimit", "nsTimeLimit", "nsLookThroughLimit")]
        handle.modify_s(self.reader, limits)
        handle.unbind_s()

    def _connect(self) -> Any:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                return connect(self.ldaps_url, self.ca_file, ADMIN, PASSWORD)
            except ldap.SERVER_DOWN:
                assert time.monotonic() < until, (self.folder / "log" / "errors").read_text()[-2000:]
                time.sleep(0.1)


def _switched_on(record: str, plugins: Mapping[str, str]) -> str:
    """A record of the configuration, of a plug-in that is needed switched on."""
    for name, more in plugins.items():
        if f"dn: cn={name},cn=plugins".lower() in record.lower():
            return "\n".join([_OFF.sub(r"\1on", record).rstrip("\n"), *([more] if more else [])])
    return record
