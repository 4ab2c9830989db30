"""A throw-away OpenLDAP server on a loopback address of its own.

Used by `dirbridge demo --source openldap` and by the tests. Like the domain controller of `domain` it has its files in
one temporary folder and ends with the process that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import ssl
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from dirbridge.cli.demo.authority import Authority
from dirbridge.cli.demo.domain import SUPERVISOR, end, environment, free_address, tail
from dirbridge.contract.errors import ConfigurationError, DirbridgeError

PORT, PLAIN_PORT = 636, 389
START_SECONDS = 30
PACKAGES = "slapd ldap-utils util-linux"
ADMIN_PASSWORD = "Throw-away.1"  # noqa: S105 - of a directory that lives on a loopback address for minutes
READER, READER_PASSWORD = "cn=dirbridge,ou=service", "Pass-word.1"
"""The account that the agent reads with, below the head."""

_SLAPD = "/usr/sbin/slapd"
_SCHEMAS = ("core", "cosine", "nis", "inetorgperson")
_MODULES = Path("/usr/lib/ldap")
_CONFIGURATION = """\
{includes}
pidfile {folder}/slapd.pid
modulepath {modules}
moduleload back_mdb
moduleload syncprov
moduleload refint
TLSCertificateFile {certificate}
TLSCertificateKeyFile {key}
TLSCACertificateFile {ca_file}
database mdb
suffix "{base_dn}"
rootdn "{admin_dn}"
rootpw {admin_password}
directory {folder}/data
maxsize 4294967296
dbnosync
index objectClass,entryUUID,entryCSN eq
index uid,cn,mail,member,uniqueMember,memberUid,manager,owner eq
{rules}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{reader}" read by * none
limits dn.exact="{reader}" {limits}
overlay refint
refint_attributes member uniqueMember manager owner
{overlays}
"""
SYNCPROV = "overlay syncprov"
UNLIMITED = "size=unlimited time=unlimited"
SESSION_LOG = f"{SYNCPROV}\nsyncprov-sessionlog 10000"


class OpenLdap:
    """One slapd with one database, from nothing.

    Args:
        overlays: of the database, as slapd.conf has them; without syncprov no changes are told.
        rules: access rules that go before the usual ones; `{reader}` stands for the account.
        limits: of the account.

    Attributes:
        realm: DNS name for which it stands. base_dn: its head. address: its loopback address.
        ldaps_url: where it answers. ca_file: who signed its certificate.
        admin_dn, admin_password: who may do everything. reader: who may read everything.
        folder: everything it keeps; gone after `stop`.
    """

    def __init__(
        self, realm: str = "contoso.test", *, overlays: str = SESSION_LOG, rules: str = "", limits: str = UNLIMITED
    ) -> None:
        self.realm = realm.lower()
        self.base_dn = ",".join(f"dc={label}" for label in self.realm.split("."))
        self.address = ""
        self.admin_dn = f"cn=admin,{self.base_dn}"
        self.admin_password = ADMIN_PASSWORD
        self.reader = f"{READER},{self.base_dn}"
        self.folder = Path(tempfile.gettempdir())
        self.authority: Authority | None = None
        self._overlays = overlays
        self._limits = limits
        self._rules = rules
        self._process: asyncio.subprocess.Process | None = None

    @property
    def ldaps_url(self) -> str:
        return f"ldaps://{self.address}:{PORT}"

    @property
    def ldap_url(self) -> str:
        """Where TLS begins with StartTLS."""
        return f"ldap://{self.address}:{PLAIN_PORT}"

    @property
    def ca_file(self) -> Path:
        return self.folder / "tls" / "ca.pem"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make the directory, with its head and the reader's account, and wait until it answers over LDAPS.

        Raises:
            ConfigurationError: slapd is not installed, or we are not root.
        """
        _check_machine()
        self.folder = Path(tempfile.mkdtemp(prefix="dirbridge-openldap-"))
        try:
            self.authority = Authority(self.folder / "tls")
            (self.folder / "data").mkdir()
            await self._launch()
            await self.add(self._beginning())
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End it and remove its folder. May be called twice."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # unlike Samba, it does not go by its standard input
            await end(process)
        if self.folder.name.startswith("dirbridge-openldap-"):
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def add(self, ldif: str) -> None:
        """Add entries over LDAP.

        Raises:
            DirbridgeError: with the tool's own words about the first entry it refused.
        """
        await self._tool("ldapadd", ldif)

    async def modify(self, ldif: str) -> None:
        """Apply LDIF change records over LDAP."""
        await self._tool("ldapmodify", ldif)

    async def _launch(self) -> None:
        assert self.authority is not None
        self.address = free_address((PORT, PLAIN_PORT))
        certificate, key = self.authority.issue([self.address, "localhost"])
        configuration = self.folder / "slapd.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            _CONFIGURATION.format(
                includes="\n".join(f"include /etc/ldap/schema/{name}.schema" for name in _SCHEMAS),
                folder=self.folder,
                modules=_MODULES,
                certificate=certificate,
                key=key,
                ca_file=self.ca_file,
                base_dn=self.base_dn,
                admin_dn=self.admin_dn,
                admin_password=self.admin_password,
                reader=self.reader,
                limits=self._limits,
                rules=self._rules.format(reader=self.reader),
                overlays=self._overlays,
            )
        )
        self._process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "TERM", "sh", "-c", SUPERVISOR, "sh", str(self.folder)),
            *(_SLAPD, "-d", "0", "-f", str(configuration), "-h", f"{self.ldaps_url} {self.ldap_url}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(b"start\n")
        await self._process.stdin.drain()
        if not await self._answers():
            raise DirbridgeError(
                f"The directory server of {self.realm} did not answer at {self.address}:{PORT} "
                f"within {START_SECONDS} seconds.",
                code="DirectoryNotStarted",
                details={"output": tail(self.folder / "output.log")},
            )

    def _beginning(self) -> str:
        return f"""\
dn: {self.base_dn}
objectClass: dcObject
objectClass: organization
o: {self.realm}
dc: {self.realm.partition(".")[0]}

dn: ou=service,{self.base_dn}
objectClass: organizationalUnit
ou: service

dn: {self.reader}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: dirbridge
userPassword: {READER_PASSWORD}
"""

    async def _tool(self, tool: str, ldif: str) -> None:
        secret = self.folder / "admin.password"
        secret.touch(mode=0o600)
        secret.write_text(self.admin_password)
        process = await asyncio.create_subprocess_exec(
            *(tool, "-x", "-H", self.ldaps_url, "-D", self.admin_dn, "-y", str(secret)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**environment(), "LDAPTLS_CACERT": str(self.ca_file), "LDAPTLS_REQCERT": "demand"},
        )
        _, errors = await process.communicate(ldif.encode())
        if process.returncode != 0:
            raise DirbridgeError(
                f"`{tool}` ended with {process.returncode}: {errors.decode(errors='replace').strip()[-600:]}",
                code="DirectoryToolFailed",
            )

    async def _answers(self) -> bool:
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process is not None and self._process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(
                    self.address, PORT, ssl=trust, server_hostname=self.address, ssl_handshake_timeout=10
                )
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return True
        return False


def _check_machine() -> None:
    found = {"slapd": Path(_SLAPD).exists(), "ldapadd": shutil.which("ldapadd"), "setpriv": shutil.which("setpriv")}
    missing = [name for name, there in found.items() if not there]
    if missing:
        raise ConfigurationError(
            f"A throw-away directory server needs the programs {', '.join(missing)}, which are not installed.",
            code="SlapdMissing",
            recommended_action=f"Install them: apt-get install --no-install-recommends {PACKAGES}",
        )
    if os.geteuid() != 0:
        raise ConfigurationError(
            "A throw-away directory server listens on a port below 1024, which only root may.",
            code="RootNeeded",
            recommended_action="Run it as root or with sudo.",
        )
