"""An update is made, or it never was: every step of it may fail, and the version that worked is at work again."""

import asyncio
import errno
import json
import os
import shlex
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dirbridge.agent import state as agent_state
from dirbridge.agent.state import Identity
from dirbridge.agent.updater import gate
from dirbridge.agent.updater.gate import Gate
from dirbridge.agent.updater.home import Home, Trial
from dirbridge.agent.updater.process import Places, Updater
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.release import Release, here
from tests.agent.updater import made_up
from tests.agent.updater.serving import Serving
from tests.agent.updater.signing import Signed

SETTINGS = 'log_format = "json"\n\n[[domain]]\nkind = "generated"\nname = "made-up.test"\n'


@pytest.fixture
def signed() -> Signed:
    return Signed()


@pytest.fixture
async def serving(signed: Signed) -> AsyncIterator[Serving]:
    async with Serving(signed.files) as running:
        yield running


@pytest.fixture
def host(tmp_path: Path, serving: Serving, signed: Signed) -> Iterator[Places]:
    """A host with 1.0.0 as its current version."""
    home, settings, state = Home(tmp_path / "home"), tmp_path / "agent.toml", tmp_path / "state"
    home.versions.mkdir(parents=True)
    (home.folder / "root.json").write_bytes(signed.trusted)
    (home.folder / "root.json").chmod(0o644)
    settings.write_text(SETTINGS)
    key = agent_state.new_key()
    trust = _certificate(key)
    agent_state.save(state, Identity(serving.url, "id", "tenant", serving.url, ("made-up.test",)), key, trust, trust)
    first = tmp_path / "first.tar.gz"
    first.write_bytes(made_up.release("1.0.0"))
    home.add(first, Release("1.0.0", *here()))
    home.switch("1.0.0")
    yield Places(home, settings, state, made_up.restart(home.program, state))
    made_up.end(state)


def _certificate(key: ec.EllipticCurvePrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "service")])
    begins, ends = datetime(2020, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begins).not_valid_after(ends)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


async def start(host: Places) -> None:
    """Bring 1.0.0 to work."""
    process = await asyncio.create_subprocess_exec(*host.restart)
    assert await process.wait() == 0
    await at_work(host, "1.0.0")


async def at_work(host: Places, version: str) -> None:
    async with asyncio.timeout(20):
        while gate.look(host.state, version)[1]:
            await asyncio.sleep(0.02)


def updater(host: Places, patience: float = 2, settle: float = 0.5) -> Updater:
    return Updater(host, Gate(patience, settle), every=0.2, pause=0.5)


async def look(host: Places) -> str | None:
    """Look once, as an updater that has just been started."""
    return await asyncio.wait_for(updater(host).run(asyncio.Event(), once=True), 60)


def kept(host: Places) -> dict[str, bytes]:
    """What an update must leave as it is."""
    return {file.name: file.read_bytes() for file in [host.settings, *host.state.glob("*.pem")]}


async def test_update(host: Places, signed: Signed) -> None:
    """The newest release is tried out, switched to, and at work; settings and state are what they were."""
    await start(host)
    before = kept(host)
    signed.add("1.1.0", made_up.release("1.1.0"))
    signed.add("1.2.0", made_up.release("1.2.0"))
    assert await look(host) == "1.2.0"
    assert host.home.current() == "1.2.0"
    assert gate.look(host.state, "1.2.0")[1] == ""
    assert made_up.logged(host.state) == ["1.0.0 agent run", "1.2.0 agent updater --check", "1.2.0 agent run"]
    assert made_up.phase(host.state) == ("idle", "Updated from 1.0.0 to 1.2.0.")
    assert kept(host) == before
    assert sorted(each.name for each in host.home.versions.iterdir()) == ["1.0.0", "1.2.0"]
    assert await look(host) is None
    assert made_up.phase(host.state) == ("idle", "1.2.0 is the newest release for this host.")
    assert list((host.home.own / "downloads").iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("ends", "it does not run"),
        ("hangs", "it has not been found by the service"),
        ("is not found", "the service does not answer it"),
        ("falls over", "it does not"),
    ],
)
async def test_broken_version_goes_back_by_itself(host: Places, signed: Signed, fault: str, why: str) -> None:
    """However it fails; it is not tried again, and a newer one is."""
    await start(host)
    signed.add("1.1.0", made_up.release("1.1.0", fault))
    assert await look(host) is None
    assert host.home.current() == "1.0.0"
    await at_work(host, "1.0.0")
    phase, message = made_up.phase(host.state)
    assert (phase, why in message) == ("rolled-back", True), message
    said = json.loads((host.state / "update.json").read_text())
    assert (said["from"], said["to"]) == ("1.0.0", "1.1.0")
    started = made_up.logged(host.state)
    assert await look(host) is None
    assert made_up.logged(host.state) == started
    assert made_up.phase(host.state)[0] == "rolled-back"
    signed.add("1.1.1", made_up.release("1.1.1"))
    assert await look(host) == "1.1.1"


async def test_version_that_cannot_start_is_not_switched_to(host: Places, signed: Signed) -> None:
    """It is tried out beside the agent, which does not notice."""
    await start(host)
    signed.add("1.1.0", made_up.release("1.1.0", "does not start"))
    assert await look(host) is None
    phase, message = made_up.phase(host.state)
    assert phase == "failed"
    assert "cannot be started here: no such setting: 'concurrency'" in message
    assert [line for line in made_up.logged(host.state) if "run" in line] == ["1.0.0 agent run"]
    assert await look(host) is None
    assert len(made_up.logged(host.state)) == 2


async def test_what_trying_out_looks_at(host: Places) -> None:
    """Settings, enrolment and root must be there, and be such as this version can read."""
    updater(host).check()
    for file, code in [
        (host.settings, "SettingsUnreadable"),
        (host.state / "agent.json", "StateDamaged"),
        (host.home.folder / "root.json", "NoUpdateRoot"),
    ]:
        known = file.read_bytes()
        file.write_text("nonsense")
        if code == "NoUpdateRoot":
            file.unlink()
        with pytest.raises(ConfigurationError) as refused:
            updater(host).check()
        assert refused.value.code == code
        file.write_bytes(known)


async def test_unreachable_service_is_not_the_new_versions_fault(
    host: Places, signed: Signed, serving: Serving
) -> None:
    """While the updater cannot reach it either, it waits; then the version may prove itself."""
    await start(host)
    signed.add("1.1.0", made_up.release("1.1.0", "hangs"))
    running = updater(host, patience=0.5)
    looking = asyncio.create_task(running.run(asyncio.Event(), once=True))
    async with asyncio.timeout(20):
        while not (host.state / "update.json").exists() or made_up.phase(host.state)[0] != "checking":
            await asyncio.sleep(0.01)
    serving.refused["metadata/timestamp.json"] = 503
    await asyncio.sleep(2)
    assert not looking.done()
    (host.state / "report.json").write_text(json.dumps({"version": "1.1.0", "found": True}))
    assert await asyncio.wait_for(looking, 20) == "1.1.0"


async def test_version_is_not_condemned_where_the_one_before_did_not_work(host: Places, signed: Signed) -> None:
    """An agent that runs and is not found, for its proxy perhaps, proves nothing against the new version."""
    await start(host)
    (host.state / "report.json").unlink()
    signed.add("1.1.0", made_up.release("1.1.0", "ends"))
    assert await look(host) is None
    assert (host.home.current(), host.home.bad()) == ("1.0.0", {})


async def test_agent_that_was_stopped_is_not_started(host: Places, signed: Signed) -> None:
    """Somebody had a reason. As soon as it runs again it is updated."""
    signed.add("1.1.0", made_up.release("1.1.0"))
    running = asyncio.create_task(Updater(host, Gate(3, 0.2), every=3600, pause=0.2).run(asyncio.Event()))
    async with asyncio.timeout(20):
        while not (host.state / "update.json").exists():
            await asyncio.sleep(0.02)
    phase, message = made_up.phase(host.state)
    assert (phase, "The agent does not run" in message) == ("waiting", True), message
    assert not (host.state / "made-up.log").exists()
    assert [each.name for each in host.home.versions.iterdir()] == ["1.0.0"]
    await start(host)
    assert await asyncio.wait_for(running, 20) == "1.1.0"


@pytest.mark.parametrize("fault", ["", "hangs"])
async def test_updater_that_was_killed_in_between_finishes(host: Places, signed: Signed, fault: str) -> None:
    """After a power cut between switch and proof the new version is proved, or taken back."""
    await start(host)
    signed.add("1.1.0", made_up.release("1.1.0", fault))
    first = asyncio.create_task(updater(host, patience=60, settle=60).run(asyncio.Event(), once=True))
    async with asyncio.timeout(20):
        while "1.1.0 agent run" not in made_up.logged(host.state):
            await asyncio.sleep(0.02)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert host.home.trial() == Trial("1.0.0", "1.1.0")
    assert await look(host) == (None if fault else "1.1.0")
    assert host.home.current() == ("1.0.0" if fault else "1.1.0")
    assert host.home.trial() is None


async def test_agent_that_cannot_be_restarted(host: Places, signed: Signed) -> None:
    """The command fails: the new version goes back, and what is said names the command's complaint."""
    await start(host)
    signed.add("1.1.0", made_up.release("1.1.0"))
    broken = Places(host.home, host.settings, host.state, ["sh", "-c", "echo Access denied >&2; exit 1"])
    assert await look(broken) is None
    assert host.home.current() == "1.0.0"
    assert "could not be restarted: Access denied" in made_up.phase(host.state)[1]


async def test_orders_are_obeyed_at_once(host: Places, signed: Signed) -> None:
    """A deferral holds everything; when it is lifted, the updater does not wait for its next look."""
    await start(host)
    (host.state / "updater.json").write_text('{"deferUntil": "2100-01-01T00:00:00Z"}')
    signed.add("1.1.0", made_up.release("1.1.0"))
    patient = Updater(host, Gate(3, 0.2), every=3600)
    running = asyncio.create_task(patient.run(asyncio.Event()))
    async with asyncio.timeout(20):
        while not (host.state / "update.json").exists():
            await asyncio.sleep(0.02)
    assert made_up.phase(host.state)[0] == "waiting"
    assert [each.name for each in host.home.versions.iterdir()] == ["1.0.0"]
    (host.state / "updater.json").write_text('{"wanted": "1.1.0"}')
    assert await asyncio.wait_for(running, 20) == "1.1.0"


async def test_no_root_no_update(host: Places, signed: Signed, serving: Serving) -> None:
    """The updater says so, asks nothing of the service, and the agent runs on."""
    (host.home.folder / "root.json").unlink()
    signed.add("1.1.0", made_up.release("1.1.0"))
    assert await look(host) is None
    phase, message = made_up.phase(host.state)
    assert phase == "idle"
    assert "--update-root" in message
    assert serving.asked == []


async def test_hostile_service_changes_nothing(host: Places, signed: Signed) -> None:
    """A release with one byte changed is not unpacked, and the next honest one is taken."""
    await start(host)
    place = signed.add("1.1.0", made_up.release("1.1.0"))
    honest = signed.files[place]
    signed.files[place] = honest[:-1] + bytes([honest[-1] ^ 1])
    assert await look(host) is None
    assert made_up.phase(host.state)[0] == "failed"
    assert [each.name for each in host.home.versions.iterdir()] == ["1.0.0"]
    assert made_up.logged(host.state) == ["1.0.0 agent run"]
    signed.files[place] = honest
    assert await look(host) == "1.1.0"


async def test_full_disk_keeps_no_broken_version(host: Places, signed: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be remembered that a version failed, the one that works comes back all the same."""
    await start(host)
    signed.add("1.1.0", made_up.release("1.1.0", "ends"))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Home, "condemn", full)
    assert await look(host) is None
    assert (host.home.current(), host.home.trial()) == ("1.0.0", None)
    await at_work(host, "1.0.0")
    assert "No space left" in made_up.phase(host.state)[1]


async def test_updater_that_was_killed_on_the_way_back_goes_on_back(host: Places) -> None:
    """What was found broken is not started once more."""
    await start(host)
    host.home.own.mkdir()
    host.home.begin_trial(Trial("1.0.0", "1.1.0"))
    host.home.condemn("1.1.0", "it does not run")
    assert await look(host) is None
    assert (host.home.current(), host.home.trial()) == ("1.0.0", None)
    assert made_up.logged(host.state) == ["1.0.0 agent run", "1.0.0 agent run"]
    assert made_up.phase(host.state) == ("rolled-back", "1.1.0 was not at work: it does not run. Back to 1.0.0.")


async def test_report_that_cannot_be_removed_stops_no_way_back(host: Places, signed: Signed) -> None:
    """A folder in its place: of a broken version, or of somebody who took the account over."""
    await start(host)
    (host.state / "report.json").unlink()
    (host.state / "report.json").mkdir()
    signed.add("1.1.0", made_up.release("1.1.0", "ends"))
    assert await look(host) is None
    assert (host.home.current(), host.home.trial()) == ("1.0.0", None)


@pytest.mark.parametrize(
    ("name", "trap"),
    [
        ("agent.lock", "pipe"),
        ("agent.json", "pipe"),
        ("agent.json", "deep"),
        ("ca.pem", "pipe"),
        ("updater.json", "deep"),
        ("report.json", "deep"),
        ("report.json", "link"),
    ],
)
async def test_account_of_the_agent_cannot_hold_the_updater_up(host: Places, name: str, trap: str) -> None:
    """Whatever it puts in the place of a note, the updater, which is root, neither waits for ever nor falls over."""
    file = host.state / name
    file.unlink(missing_ok=True)
    if trap == "pipe":
        os.mkfifo(file)
    elif trap == "link":
        file.symlink_to("/dev/zero")
    else:
        file.write_bytes(b"[" * 100_000)
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from dirbridge.agent.updater.gate import Gate, look\n"
        "from dirbridge.agent.updater.home import Home\n"
        "from dirbridge.agent.updater.process import Places, Updater\n"
        "home, settings, state = map(Path, sys.argv[1:])\n"
        "look(state, '1.0.0')\n"
        "updater = Updater(Places(Home(home), settings, state, ['false']), Gate(1, 0), pause=0)\n"
        "asyncio.run(updater.run(asyncio.Event(), once=True))\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, str(host.home.folder), str(host.settings), str(host.state),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, said.decode()[-2000:]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has capabilities to give up")
async def test_as_the_unit_runs_it(host: Places, signed: Signed) -> None:
    """Root with the one capability that is left to it, and a mask of its own, beside an agent's account."""
    await start(host)
    for file in (host.state, *host.state.iterdir()):
        os.chown(file, 65534, 65534)
    signed.add("1.1.0", made_up.release("1.1.0"))
    confined = ["setpriv", "--bounding-set=-all,+dac_override", "--inh-caps=-all", "--no-new-privs"]
    program = [sys.executable, "-c", "import os; os.umask(0o077); from dirbridge.cli.main import main; main()"]
    places = ["--home", str(host.home.folder), "--settings", str(host.settings), "--state", str(host.state)]
    options = [*places, "--restart", shlex.join(host.restart), "--patience", "5", "--settle", "0.5", "--once"]
    process = await asyncio.create_subprocess_exec(
        *confined, *program, "agent", "updater", *options, stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert made_up.phase(host.state) == ("idle", "Updated from 1.0.0 to 1.1.0."), complaint.decode()
    assert (host.state / "update.json").stat().st_mode & 0o777 == 0o644
    assert (host.state / "key.pem").stat().st_uid == 65534
