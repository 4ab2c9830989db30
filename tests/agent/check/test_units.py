"""What systemd says of the agent's services, put into words.

No systemd runs where the tests do. In its place stands a program that answers `systemctl show` in systemd's form; which
statuses it ends a service with is in systemd.exec(5).
"""

import os
from pathlib import Path

import pytest

from dirbridge.agent.check import units
from dirbridge.contract.wire import Finding

AGENT, OTHER = "dirbridge-agent.service", "dirbridge-other.service"
RUNS = {
    "LoadState": "loaded", "ActiveState": "active", "SubState": "running", "Result": "success", "ExecMainCode": "0",
    "ExecMainStatus": "0", "UnitFileState": "enabled", "NeedDaemonReload": "no", "User": "dirbridge-agent",
}  # fmt: skip


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host that systemd booted; its `systemctl` prints what a test writes to `said`."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\ncat {tmp_path}/said\nexit $(cat {tmp_path}/code)\n')
    program.chmod(0o755)
    (tmp_path / "code").write_text("0")
    (tmp_path / "said").write_text("")
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


async def findings(host: Path, **services: dict[str, str]) -> list[Finding]:
    """What is found where the services are like this."""
    names = {"agent": AGENT, "other": OTHER}
    blocks = [
        "\n".join(f"{key}={value}" for key, value in {"Id": names[name], **RUNS, **changed}.items())
        for name, changed in services.items()
    ]
    (host / "said").write_text("\n\n".join(blocks) + "\n")
    return [each async for each in units.examine((AGENT, OTHER), host)]


async def test_both_services_run(host: Path) -> None:
    """Each has a finding with the account that it runs as, and both are asked for at once."""
    found = await findings(host, agent={}, other={"User": ""})
    assert [(each.name, each.outcome) for each in found] == [
        ("service dirbridge-agent", "pass"),
        ("service dirbridge-other", "pass"),
    ]
    assert "runs as dirbridge-agent" in found[0].finding
    assert "runs as root" in found[1].finding
    asked = (host / "asked").read_text().split()
    assert asked[0] == "show"
    assert asked[-2:] == [AGENT, OTHER]


@pytest.mark.parametrize(
    ("changed", "outcome", "code", "said"),
    [
        ({"ActiveState": "inactive"}, "fail", "ServiceNotStarted", "does not run"),
        ({"LoadState": "masked"}, "fail", "ServiceNotInstalled", "masked"),
        ({"LoadState": "not-found"}, "fail", "ServiceNotInstalled", "not installed"),
        ({"LoadState": "bad-setting"}, "fail", "ServiceNotInstalled", "cannot be loaded (bad-setting)"),
        ({"UnitFileState": "disabled"}, "warn", "ServiceNotEnabled", "does not start with the host"),
        ({"NeedDaemonReload": "yes"}, "warn", "ServiceUnitChanged", "changed since"),
    ],
)
async def test_service_that_is_not_as_it_should_be(
    host: Path, changed: dict[str, str], outcome: str, code: str, said: str
) -> None:
    """The one that is well has its own finding."""
    bad, good = await findings(host, agent=changed, other={})
    assert (bad.outcome, bad.code, good.outcome) == (outcome, code, "pass")
    assert said in bad.finding
    assert bad.remedy


@pytest.mark.parametrize(
    "state", [{"ActiveState": "failed"}, {"ActiveState": "activating", "SubState": "auto-restart"}]
)
@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        ("203", "ServiceMayNotStart", "its program cannot be run (status 203)"),
        ("217", "ServiceMayNotStart", "the account cannot be taken on"),
        ("226", "ServiceMayNotStart", "its namespaces cannot be made"),
        ("3", "ServiceFailed", "its settings are wrong"),
        ("4", "ServiceFailed", "does not accept this agent"),
        ("77", "ServiceFailed", "exit-code, status 77"),
    ],
)
async def test_service_that_failed(host: Path, state: dict[str, str], status: str, code: str, said: str) -> None:
    """Why it did not start, and which account lacks the privilege; also while systemd tries again and again."""
    gone = {**state, "Result": "exit-code", "ExecMainCode": "1", "ExecMainStatus": status}
    bad, _ = await findings(host, agent=gone, other={})
    assert (bad.outcome, bad.code) == ("fail", code)
    assert said in bad.finding
    assert bad.remedy
    assert ("dirbridge-agent does not have the privileges" in bad.finding) == (code == "ServiceMayNotStart")


async def test_killed_service(host: Path) -> None:
    """A signal's number is no exit status: 9 is not a service that ended with 9."""
    gone = {"ActiveState": "failed", "Result": "oom-kill", "ExecMainCode": "2", "ExecMainStatus": "9"}
    bad, _ = await findings(host, agent=gone, other={})
    assert (bad.code, "oom-kill" in bad.finding) == ("ServiceFailed", True)


async def test_host_without_these_services(host: Path) -> None:
    """Another supervisor runs the agent, or systemd does not run: nothing to say."""
    none = {"LoadState": "not-found", "ActiveState": "inactive"}
    assert await findings(host, agent=none, other=none) == []
    assert [each async for each in units.examine((AGENT, OTHER), host / "nowhere")] == []


async def test_systemd_that_complains(host: Path) -> None:
    """The check goes on, and says that it does not know."""
    (host / "code").write_text("1")
    (finding,) = await findings(host, agent={})
    assert (finding.outcome, finding.code) == ("warn", "SystemdSilent")
