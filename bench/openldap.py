"""The yardstick of the initial sync: the same entries in OpenLDAP, read by `ldapsearch`."""

from __future__ import annotations

import asyncio
import base64
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dirbridge.connectors.generated.directory import GROUP, USER, Directory
from dirbridge.connectors.generated.settings import Settings
from dirbridge.contract.entry import Selection

SUFFIX = "dc=made-up,dc=test"
_CLASSES = {
    USER: "objectClass: inetOrgPerson\nobjectClass: extensibleObject\n",
    GROUP: "objectClass: groupOfNames\nobjectClass: extensibleObject\n",
}
_KNOWN = {"cn", "displayName", "givenName", "sn", "mail", "title", "telephoneNumber", "mobile", "l", "postalCode"}
_KNOWN |= {"departmentNumber", "employeeNumber", "description", "street"}


def _ldif(settings: Settings) -> Iterator[str]:
    """The directory as LDIF: users, and groups with their members."""
    selection = Selection(
        {USER: tuple(sorted(_KNOWN | {"sAMAccountName"})), GROUP: ("cn", "description", "displayName")}
    )
    directory = Directory(settings, 0)
    yield f"dn: {SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\no: made-up\ndc: made-up\n\n"
    for kind, count in ((USER, settings.users), (GROUP, settings.groups)):
        make = directory.maker(kind, selection)
        for number in range(count):
            entry = make(number)
            lines = [f"dn: uid={entry.anchor},{SUFFIX}\n{_CLASSES[kind]}uid: {entry.anchor}\n"]
            for name, values in entry.attributes.items():
                if name in _KNOWN:
                    lines += [f"{name}:: {_base64(value)}\n" for value in values]
            if kind == GROUP:
                lines += [f"member: uid={anchor},{SUFFIX}\n" for anchor in directory.members(number)]
            yield "".join([*lines, "\n"])


def _base64(value: str | bytes) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def raw_read(settings: Settings) -> float:
    """Load the directory into a throw-away slapd and give the seconds that `ldapsearch` needs for all of it."""
    folder = Path(tempfile.mkdtemp(prefix="dirbridge-slapd-"))
    try:
        (folder / "db").mkdir()
        configuration = folder / "slapd.conf"
        schemas = "".join(f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson"))
        configuration.write_text(
            f"{schemas}modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {folder}/pid\nsizelimit unlimited\n"
            f"database mdb\nmaxsize 4294967296\nsuffix {SUFFIX}\nrootdn cn=admin,{SUFFIX}\nrootpw x\n"
            f"directory {folder}/db\n"
        )
        (folder / "all.ldif").write_text("".join(_ldif(settings)))
        subprocess.run(
            ["slapadd", "-q", "-f", configuration, "-l", folder / "all.ldif"], check=True, capture_output=True
        )
        url = f"ldapi://{str(folder / 'socket').replace('/', '%2F')}"
        with (folder / "slapd.log").open("wb") as log:
            server = subprocess.Popen(["slapd", "-d", "0", "-f", configuration, "-h", url], stdout=log, stderr=log)
        try:
            return _measure(url)
        finally:
            server.terminate()
            server.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measure(url: str) -> float:
    command = ["ldapsearch", "-x", "-LLL", "-H", url, "-D", f"cn=admin,{SUFFIX}", "-w", "x", "-b", SUFFIX]
    for _ in range(100):
        if subprocess.run([*command, "-s", "base"], check=False, capture_output=True).returncode == 0:
            break
        time.sleep(0.1)
    times = []
    for _ in range(2):  # the first one warms the cache
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.monotonic() - began)
    return times[-1]


async def measure(settings: Settings) -> float:
    """Measure without blocking the loop."""
    return await asyncio.to_thread(raw_read, settings)
