"""The two units of systemd, agent and updater, and the settings that a new host begins with.

The agent may write its own folder and reach the network, and nothing else. The updater may write the versions too, and
restart the agent, for which it is root with one capability left. `systemd-analyze security` is asked in the tests.
Source: systemd.exec(5), "Sandboxing".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

AGENT = "dirbridge-agent.service"
UPDATER = "dirbridge-agent-updater.service"
NAMES = (AGENT, UPDATER)

_AGENT = """\
[Unit]
Description=dirbridge provisioning agent
After=network-online.target nss-lookup.target time-sync.target
Wants=network-online.target

[Service]
Type=exec
ExecStart={program} agent run --settings {settings} --state {state}
User={account}
Group={account}
Restart=always
RestartSec=5
# Wrong settings (3) and a revoked enrolment (4) do not mend themselves.
RestartPreventExitStatus=3 4
TimeoutStopSec=30
OOMPolicy=stop
UMask=0077
ReadWritePaths={state}

CapabilityBoundingSet=
PrivateUsers=yes
{confined}"""

_UPDATER = """\
[Unit]
Description=dirbridge agent updater
After=network-online.target nss-lookup.target time-sync.target
Wants=network-online.target

[Service]
Type=exec
ExecStart={program} agent updater --settings {settings} --state {state} --home {home}
# After an update it ends, to be started again from the new version.
Restart=always
RestartSec=5
TimeoutStopSec=30
OOMPolicy=stop
# The bytecode that trying a version out leaves is read by the agent's account too.
UMask=0022
ReadWritePaths={home} {state}

# It reads and writes notes in the agent's folder, which belongs to the agent's account. To ask systemd for a restart
# takes no capability, only being root.
CapabilityBoundingSet=CAP_DAC_OVERRIDE
{confined}"""

_CONFINED = """\
NoNewPrivileges=yes
AmbientCapabilities=
ProtectSystem=strict
ProtectHome={protect_home}
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""

SETTINGS = """\
# Settings of the dirbridge agent; every one of them is told in docs/agent.md. Durations are seconds.

# proxy = "http://proxy.example.com:3128"

# [[domain]]
# name = "contoso.com"
# servers = ["ldaps://dc1.contoso.com:636", "ldaps://dc2.contoso.com:636"]
# ca_file = "/etc/dirbridge/contoso-ca.pem"
# user = "svc-dirbridge@contoso.com"
# password_file = "/etc/dirbridge/contoso.password"
"""
"""What a new host's settings file says: nothing yet, and how to say it."""


def texts(home: Path, account: str, settings: Path, state: Path, *, programs: Sequence[Path] = ()) -> dict[str, str]:
    """Give the units by name.

    Args:
        home: the folder of the agent's versions.
        programs: what else the units run that may lie in a person's home, such as an interpreter.
    """
    below_home = any(
        each.is_relative_to(folder) for each in (home, *programs) for folder in ("/home", "/root", "/run/user")
    )
    values = {
        "program": _quoted(home / "current" / "bin" / "dirbridge"), "home": _quoted(home), "account": account,
        "settings": _quoted(settings), "state": _quoted(state),
        "confined": _CONFINED.format(protect_home="read-only" if below_home else "yes"),
    }  # fmt: skip
    return {AGENT: _AGENT.format(**values), UPDATER: _UPDATER.format(**values)}


def _quoted(path: Path) -> str:
    """Write a path as units take it. Source: systemd.syntax(7), systemd.unit(5) on specifiers."""
    text = str(path).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"' if any(letter in text for letter in " \t'\"\\") else text
