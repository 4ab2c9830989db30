"""A throw-away Active Directory domain controller (Samba) on a loopback address of its own.

Used by `dirbridge demo`, by the tests and by the bench. Several run side by side: the ports of a domain controller are
fixed, so each takes another address of 127.0.0.0/8. Its files lie in one temporary folder. It ends with `stop`, and
also when the process that started it is killed: it then loses its standard input, ends, and its folder is removed.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from dirbridge.cli.demo.authority import Authority
from dirbridge.contract.errors import ConfigurationError, DirbridgeError

PORTS = (88, 135, 389, 464, 636, 3268, 3269)
"""What the domain controller listens on; every one must be free at its address."""
START_SECONDS = 60
STOP_SECONDS = 10
PACKAGES = "samba-ad-dc samba-ad-provision samba-dsdb-modules python3-samba ldb-tools util-linux"
ADMIN_PASSWORD = "Throw-away.1"  # noqa: S105 - of a domain that lives on a loopback address for minutes

_SYSTEM_PYTHON = "/usr/bin/python3"  # python3-samba is built for the distribution's Python and no other

# The supervisor begins before there is anything to take away, and outlives us just long enough to do so. It waits for a
# line before it starts Samba, which in the foreground ends when its standard input does; the signal of setpriv is for
# the case that a forked child of ours still holds the other end. A start that failed (status 1) leaves the folder to
# `stop`, so that its last words can be read.
SUPERVISOR = """
folder=$1; shift
trap 'gone=1' TERM
read -r _ || { rm -rf -- "$folder" || { sleep 1; rm -rf -- "$folder"; }; exit; }
exec 3<&0
"$@" <&3 3<&- >>"$folder/output.log" 2>&1 &
child=$!
exec 3<&-
trap 'gone=1; kill -TERM $child; kill -CONT $child' TERM
wait $child
status=$?
kill -KILL $child 2>/dev/null
wait $child
[ $status -eq 1 ] && [ -z "$gone" ] || rm -rf -- "$folder"
"""

_GRANT_DELETED_OBJECTS = """
import sys
import ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

configuration, database, base, account = sys.argv[1:]
parameters = LoadParm()
parameters.load(configuration)
sam = SamDB(url=database, lp=parameters, session_info=system_session())
found = sam.search(base, ldb.SCOPE_SUBTREE, "(sAMAccountName=%s)" % ldb.binary_encode(account), ["objectSid"])
if len(found) != 1:
    sys.exit("there is no account named %r" % account)
sid = ndr_unpack(security.dom_sid, found[0]["objectSid"][0])
container = ldb.Dn(sam, "CN=Deleted Objects," + base)
controls = ["show_deleted:1", "sd_flags:1:4"]
entry = sam.search(container, ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"], controls=controls)[0]
descriptor = ndr_unpack(security.descriptor, entry["nTSecurityDescriptor"][0])
own = security.dom_sid(sam.get_domain_sid())
text = descriptor.as_sddl(own)
rule = "(A;CI;LCRP;;;%s)" % sid
if rule not in text:
    start = text.index("D:")
    at = text.index("(", start)
    text = text[:at] + rule + text[at:]
    changed = ldb.Message(container)
    changed["d"] = ldb.MessageElement(
        ndr_pack(security.descriptor.from_sddl(text, own)), ldb.FLAG_MOD_REPLACE, "nTSecurityDescriptor")
    sam.modify(changed, controls)
"""


class Domain:
    """One domain controller of one domain, from nothing.

    Attributes:
        realm: DNS name of the domain in lower case. netbios: its short name. base_dn: its head.
        host: name of the domain controller; only its certificate knows it, use `address` to connect.
        address: its loopback address. ldaps_url: where it answers. ca_file: who signed its certificate.
        admin_dn, admin_password: the administrator, for a simple bind.
        folder: everything it keeps; gone after `stop`.
    """

    def __init__(self, realm: str = "contoso.test", netbios: str = "CONTOSO", *, host: str = "dc1") -> None:
        self.realm = realm.lower()
        self.netbios = netbios.upper()
        self.base_dn = ",".join(f"DC={label}" for label in self.realm.split("."))
        self.host = f"{host}.{self.realm}"
        self.address = ""
        self.admin_dn = f"CN=Administrator,CN=Users,{self.base_dn}"
        self.admin_password = ADMIN_PASSWORD
        self.folder = Path(tempfile.gettempdir())
        self.authority: Authority | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._mask = "255.0.0.0"

    @property
    def ldaps_url(self) -> str:
        return f"ldaps://{self.address}:636"

    @property
    def ca_file(self) -> Path:
        return self.folder / "tls" / "ca.pem"

    @property
    def database(self) -> Path:
        """The directory's own database, for tools that work on it without the server."""
        return self.folder / "private" / "sam.ldb"

    @property
    def configuration(self) -> Path:
        return self.folder / "etc" / "smb.conf"

    async def __aenter__(self) -> Self:
        if self._process is None:  # a copy runs already
            await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make the domain and wait until it answers over LDAPS; some six seconds.

        Raises:
            ConfigurationError: Samba is not installed, or we are not root.
        """
        _check_machine()
        try:
            await self._prepare()
            await self._provision()
            await self._launch()
        except BaseException:
            await self.stop()
            raise

    async def copy(self) -> Domain:
        """Start a second domain controller from a copy of what this one holds now.

        It has the same invocation id and never hears of this one's further changes: a replica that lags behind.
        """
        twin = Domain(self.realm, self.netbios, host=self.host.partition(".")[0])
        try:
            await twin._prepare()
            for part in ("etc", "private", "state", "cache", "bind-dns"):
                source = self.folder / part
                if source.exists():
                    await asyncio.to_thread(
                        shutil.copytree,
                        source,
                        twin.folder / part,
                        symlinks=True,
                        ignore=_without_sockets,
                    )
            text = self.configuration.read_text()
            twin.configuration.write_text(text.replace(str(self.folder), str(twin.folder)))
            await twin._launch()
        except BaseException:
            await twin.stop()
            raise
        return twin

    async def stop(self) -> None:
        """End it and remove its folder. May be called twice."""
        process, self._process = self._process, None
        if process is not None:
            await end(process)
        if self.folder.name.startswith("dirbridge-domain-"):
            await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)

    async def create_user(self, name: str, password: str, *, container: str = "") -> str:
        """Add an ordinary account that may sign in, and give its DN.

        Args:
            name: its sAMAccountName and cn.
            password: must satisfy the domain's complexity rule.
            container: where to, relative to the head of the domain, such as `OU=Service`; `CN=Users` where empty.
        """
        place = ("--userou", container) if container else ()
        await self._samba_tool("user", "create", name, password, *place)
        return f"CN={name},{container or 'CN=Users'},{self.base_dn}"

    async def grant_deleted_objects(self, account: str) -> None:
        """Let an account (sAMAccountName) list and read deleted objects, which DirSync needs to report deletes."""
        await run(
            _SYSTEM_PYTHON,
            "-c",
            _GRANT_DELETED_OBJECTS,
            str(self.configuration),
            str(self.database),
            self.base_dn,
            account,
        )

    async def grant(self, dn: str, sddl: str) -> None:
        """Add an access rule, such as `(D;;RPLC;;;SID)`, to an object."""
        await self._samba_tool("dsacl", "set", f"--objectdn={dn}", f"--sddl={sddl}")

    async def load(self, ldif: str) -> None:
        """Add entries in one batch, past the server: some 900 a second however many, seven times what LDAP takes.

        Raises:
            DirbridgeError: with the tool's own words about the first entry it refused; nothing of the batch is kept.
        """
        file = self.folder / "load.ldif"
        await asyncio.to_thread(file.write_text, ldif, encoding="utf-8")
        try:
            await run(
                "ldbadd",
                *("-H", str(self.database), f"--configfile={self.configuration}"),
                *("--nosync", "-o", "batch_mode:1"),  # without, each entry costs as much as there are
                str(file),
            )
        finally:
            file.unlink()

    async def modify(self, ldif: str, *controls: str) -> None:
        """Apply LDIF change records past the server, with ldb controls such as `relax:0`."""
        file = self.folder / "modify.ldif"
        await asyncio.to_thread(file.write_text, ldif, encoding="utf-8")
        options = [f"--controls={','.join(controls)}"] if controls else []
        try:
            await run("ldbmodify", "-H", str(self.database), f"--configfile={self.configuration}", *options, str(file))
        finally:
            file.unlink()

    def suspend(self) -> None:
        """Freeze the server: it keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    async def _provision(self) -> None:
        await run(
            "samba-tool",
            "domain",
            "provision",
            f"--realm={self.realm.upper()}",
            f"--domain={self.netbios}",
            f"--host-name={self.host.partition('.')[0].upper()}",
            "--server-role=dc",
            "--dns-backend=NONE",
            f"--adminpass={self.admin_password}",
            f"--targetdir={self.folder}",
            "--option=vfs objects=",
        )
        self._configure()

    def _configure(self) -> None:
        """Keep everything in our folder, and serve what is needed."""
        own = {
            "log file": self.folder / "samba.log",
            "pid directory": self.folder,
            "ncalrpc dir": self.folder / "ncalrpc",
            "winbindd socket directory": self.folder / "winbindd",
            "ntp signd socket directory": self.folder / "ntp_signd",
            "tls keyfile": self.folder / "tls" / "server.key",
            "tls certfile": self.folder / "tls" / "server.pem",
            "tls cafile": self.folder / "tls" / "ca.pem",
            "server services": "ldap, cldap, kdc, rpc",
            "bind interfaces only": "yes",
        }
        lines = self.configuration.read_text().splitlines()
        keep = [line for line in lines if line.partition("=")[0].strip() not in own]
        at = keep.index("[global]") + 1
        keep[at:at] = [f"\t{name} = {value}" for name, value in own.items()]
        self.configuration.write_text("\n".join(keep) + "\n")

    async def _prepare(self) -> None:
        """Take a folder and an address, and start who will take the folder away."""
        self.folder = Path(tempfile.mkdtemp(prefix="dirbridge-domain-"))
        self.address = self._take_address()
        self._process = await asyncio.create_subprocess_exec(
            *("setpriv", "--pdeathsig", "TERM", "sh", "-c", SUPERVISOR, "sh", str(self.folder)),
            *self._command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )

    def _take_address(self) -> str:
        return free_address(PORTS)

    def _command(self) -> tuple[str, ...]:
        """The server, in the foreground."""
        samba = ("samba", "-s", str(self.configuration), "-i", "-M", "single", "--debug-stdout")
        return (*samba, f"--option=interfaces={self.address}/{self._mask}")

    async def _launch(self) -> None:
        """Give the word to start, and wait for an answer over LDAPS."""
        self.authority = Authority(self.folder / "tls")
        self.authority.issue([self.host, self.address, "localhost"])  # the last for proxies of tests
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b"start\n")
        await self._process.stdin.drain()
        if await self._answers():
            return
        raise DirbridgeError(
            f"The domain controller of {self.realm} did not answer at {self.address}:636 "
            f"within {START_SECONDS} seconds.",
            code="DomainControllerNotStarted",
            details={"output": tail(self.folder / "output.log")},
        )

    async def _answers(self) -> bool:
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until and self._process is not None and self._process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(
                    self.address, 636, ssl=trust, server_hostname=self.address, ssl_handshake_timeout=10
                )
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return True
        return False

    async def _samba_tool(self, *arguments: str) -> None:
        group, action, *rest = arguments
        await run("samba-tool", group, action, *rest, "-H", str(self.database), f"--configfile={self.configuration}")

    def _signal(self, number: signal.Signals) -> None:
        pid = int((self.folder / "samba.pid").read_text())
        os.kill(pid, number)


async def run(*command: str) -> str:
    """Run a tool of Samba to its end and give what it said.

    Raises:
        DirbridgeError: with the last of what it said.
    """
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "KILL", *command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment(),
    )
    try:
        output, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    text = output.decode(errors="replace")
    if process.returncode != 0:
        raise DirbridgeError(
            f"`{' '.join(command[:3])}` ended with {process.returncode}: {text.strip()[-600:]}",
            code="DomainToolFailed",
        )
    return text


async def end(process: asyncio.subprocess.Process) -> None:
    """End a server and its supervisor, gently at first."""
    if process.stdin is not None:
        process.stdin.close()
    for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGKILL):
        try:
            if number is not signal.SIGCONT or process.returncode is None:
                os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
            break
        except TimeoutError:
            continue


def _check_machine() -> None:
    missing = [name for name in ("samba", "samba-tool", "ldbadd", "setpriv") if shutil.which(name) is None]
    if missing:
        raise ConfigurationError(
            f"A throw-away domain controller needs the programs {', '.join(missing)}, which are not installed.",
            code="SambaMissing",
            recommended_action=f"Install them: apt-get install --no-install-recommends {PACKAGES}",
        )
    if os.geteuid() != 0:
        raise ConfigurationError(
            "A throw-away domain controller listens on ports below 1024, which only root may.",
            code="RootNeeded",
            recommended_action="Run it as root or with sudo.",
        )


def free_address(ports: Collection[int]) -> str:
    """Find a loopback address with all these ports free. Chosen at random, so that runs side by side do not meet.

    Raises:
        DirbridgeError: there is none.
    """
    for _ in range(100):
        address = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{random.randint(2, 254)}"
        if all(is_free(address, port) for port in ports):
            return address
    raise DirbridgeError(
        f"No address of 127.0.0.0/8 out of 100 tried has the ports {', '.join(map(str, ports))} free.",
        code="NoFreeAddress",
        recommended_action="End what listens on these ports at all addresses.",
    )


def is_free(address: str, port: int) -> bool:
    """Say whether nothing listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def environment() -> dict[str, str]:
    """Our environment without what would lead the distribution's Python to our libraries."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    kept["PATH"] = kept.get("PATH", "") + ":/usr/sbin:/usr/bin:/sbin:/bin"
    kept["LC_ALL"] = "C.UTF-8"
    return kept


def _without_sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if (Path(folder) / name).is_socket() or (Path(folder) / name).is_fifo()]


def tail(file: Path) -> str:
    """Give the end of a log; nothing where there is none."""
    try:
        return file.read_text(errors="replace")[-1500:]
    except OSError:
        return ""
