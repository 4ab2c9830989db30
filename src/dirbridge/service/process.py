"""One process of the service, from its settings to its end: database, keys, TLS, requests, cycles.

`dirbridge serve` runs it; `dirbridge init` borrows the database from it. Everything that an operator can get wrong is
found before the first request is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from dirbridge.contract.errors import ConfigurationError, TransientError
from dirbridge.service import app, setup, worker
from dirbridge.service.auth import authority
from dirbridge.service.auth.authority import ServerCertificate
from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.service.auth.sign_in.rules import SignInRules
from dirbridge.service.graph import throttling
from dirbridge.service.graph.throttling import Throttle
from dirbridge.service.notify import delivery
from dirbridge.service.notify.delivery import Courier
from dirbridge.service.settings import Settings
from dirbridge.service.setup import Identity, Initialised, Wishes
from dirbridge.store.database import Database
from dirbridge.store.embedded import EmbeddedServer
from dirbridge.store.listener import Listener
from dirbridge.store.migrate import migrate

logger = logging.getLogger(__name__)

CREDENTIALS = "credentials.json"
SHARE_PATIENCE = 60.0
"""Seconds to wait for another process on the same data folder, which may be starting or ending just now."""
RENEWAL_INTERVAL = timedelta(hours=12)
ANSWER_PATIENCE = timedelta(seconds=10)
"""How long a request waits for the database: less than clients wait for an answer, so that they hear what is wrong."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What there is to say once requests are answered.

    Attributes:
        base_url: None in a process that answers none.
        credentials: where password and secret of a tenant made just now were laid; None where it was there.
    """

    base_url: str | None
    ca_file: Path
    credentials: Path | None


def _spare_the_collector() -> None:
    """Look for reference cycles seldom: a page makes tens of thousands of values, and none of them is in one."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def serve(settings: Settings, stop: asyncio.Event, announce: Callable[[Ready], None]) -> None:
    """Run until told to stop.

    Args:
        settings: of this process.
        stop: ends it in good order.
        announce: called once, when it is ready.

    Raises:
        ConfigurationError: somebody must change something first.
        TransientError: the database does not answer.
    """
    make_data_folder(settings.data)
    _spare_the_collector()
    with _listening(settings) as listening:
        given = _given_certificate(settings)
        async with database_url(settings) as url, Database(url, most=settings.database_connections) as database:
            port = listening.getsockname()[1] if listening is not None else None
            made = await _initialised(database, settings, port)
            identity = await setup.load(database, settings, port)
            setup.write_ca_file(settings.ca_file, identity.authority.certificate)
            ready = Ready(identity.tenant.base_url if listening else None, settings.ca_file, made)
            courier = delivery.courier(database, identity, settings)
            rules = sign_in_rules.from_settings(settings)
            tls = given or await _issued_certificate(settings, database, identity)
            async with Listener(database, app.CHANNELS) as listener, asyncio.TaskGroup() as tasks:
                if listening is not None:
                    answering = asyncio.Event()
                    tasks.create_task(
                        _answer(
                            settings, database, identity, rules, listener, courier, listening, tls, stop, answering
                        ),
                        name="api",
                    )
                    if given is None:
                        tasks.create_task(_renew(settings, database, identity, tls, stop), name="renewal")
                    await answering.wait()
                if settings.role != "api":
                    working = worker.work(settings, database, identity.sealing, listener, courier, stop)
                    tasks.create_task(working, name="worker")
                announce(ready)


async def initialise(settings: Settings, wishes: Wishes) -> Initialised:
    """Make the tenant, or add to it, in a database that another process may be serving."""
    make_data_folder(settings.data)
    async with database_url(settings, share=True) as url:
        await migrate(url)
        async with Database(url, most=4) as database:
            return await setup.initialise(database, settings, wishes)


@contextlib.asynccontextmanager
async def database_url(settings: Settings, *, share: bool = False) -> AsyncIterator[str]:
    """Give the database, for as long as it is needed: the one that was named, or the embedded one.

    Args:
        settings: name the database or the folder.
        share: use the server of another process where one runs on this folder.
    """
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    server = EmbeddedServer(settings.data)
    started = await _start(server, share=share)
    try:
        yield server.url()
    finally:
        if started:
            await server.stop()


async def _start(server: EmbeddedServer, *, share: bool) -> bool:
    """Start the embedded server; False where another process's is used instead."""
    deadline = asyncio.get_running_loop().time() + SHARE_PATIENCE
    while True:
        try:
            await server.start()
        except ConfigurationError as error:
            if not share or error.code != "DataFolderInUse":
                raise
            if await _answers(server.url()):
                return False
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.2)
        else:
            return True


async def _answers(url: str) -> bool:
    async with Database(url, most=1, patience=timedelta(0)) as database:
        try:
            await (await database.standalone()).close()
        except TransientError:
            return False
        return True


async def _initialised(database: Database, settings: Settings, port: int | None) -> Path | None:
    """See to tables and tenant; gives the file with the credentials of one made just now."""
    await migrate(database.url)
    if settings.role == "worker" or await setup.is_initialised(database):
        return None
    file = settings.data / CREDENTIALS
    made = await setup.initialise(
        database,
        settings,
        Wishes(),
        port=port,
        keep=lambda made: setup.write_private(file, setup.as_text(made.document())),
    )
    return file if made.is_new else None


# Requests ------------------------------------------------------------------------------------------------------------


class _Server(uvicorn.Server):
    """uvicorn without its hold on signals: who runs the process decides when it stops."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _answer(
    settings: Settings,
    database: Database,
    identity: Identity,
    rules: SignInRules,
    listener: Listener,
    courier: Courier,
    listening: socket.socket,
    tls: ssl.SSLContext,
    stop: asyncio.Event,
    answering: asyncio.Event,
) -> None:
    throttle = Throttle(throttling.limits(settings), time.monotonic) if settings.throttling else None
    patient = database.with_patience(ANSWER_PATIENCE)
    config = uvicorn.Config(
        app.build(
            patient,
            identity,
            listener,
            courier,
            stopping=stop,
            throttle=throttle,
            rules=rules,
            log_retention=timedelta(days=settings.log_retention),
        ),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_context_factory=lambda _config, _default: tls,
        timeout_graceful_shutdown=max(1, int(settings.stop_timeout / 2)),
        timeout_keep_alive=30,
    )
    server = _Server(config)
    running = asyncio.create_task(server.serve(sockets=[listening]), name="uvicorn")
    try:
        while not server.started and not running.done():  # noqa: ASYNC110 - uvicorn tells by an attribute only
            await asyncio.sleep(0.01)
        answering.set()
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
    finally:
        server.should_exit = True
        await running


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket | None]:
    """Take the address before anything else is started; requests are accepted later."""
    if settings.role == "worker":
        yield None
        return
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        taken = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigurationError(
            f"The address '{settings.host}' to listen at is none of this machine: {error.strerror or error}.",
            code="ListenAddress",
            recommended_action="Correct --listen, such as 127.0.0.1:8443 or 0.0.0.0:8443.",
        ) from error
    with taken:
        try:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)
        except OSError as error:
            raise _cannot_listen(settings, error) from error
        yield taken


def _cannot_listen(settings: Settings, error: OSError) -> ConfigurationError:
    match error.errno:
        case errno.EADDRINUSE:
            return ConfigurationError(
                f"{settings.listen} is in use by another program.",
                code="PortInUse",
                recommended_action="Stop that program, or choose another port with --listen HOST:PORT.",
            )
        case errno.EACCES:
            return ConfigurationError(
                f"This account may not listen at {settings.listen}; ports below 1024 are for root.",
                code="PortForbidden",
                recommended_action="Choose a port from 1024 up with --listen HOST:PORT.",
            )
        case _:
            return ConfigurationError(
                f"Cannot listen at {settings.listen}: {error.strerror}.",
                code="ListenAddress",
                recommended_action="Give an address of this machine with --listen HOST:PORT.",
            )


# TLS -----------------------------------------------------------------------------------------------------------------


def _given_certificate(settings: Settings) -> ssl.SSLContext | None:
    """Read the operator's own certificate."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    for file in (settings.tls_cert, settings.tls_key):
        try:
            file.read_bytes()
        except OSError as error:
            raise _bad_certificate(f"The file {file} cannot be read: {error.strerror}.") from error
    context = _tls_context()
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=_no_passphrase)
    except ssl.SSLError as error:
        said = "the key is not the certificate's" if error.reason == "KEY_VALUES_MISMATCH" else "they are not in PEM"
        raise _bad_certificate(f"{settings.tls_cert} with the key {settings.tls_key} is unusable: {said}.") from error
    except _Passphrase as error:
        raise _bad_certificate(f"The key {settings.tls_key} is protected by a passphrase.") from error
    return context


async def _issued_certificate(settings: Settings, database: Database, identity: Identity) -> ssl.SSLContext:
    """Let the tenant's own CA vouch for us."""
    context = _tls_context()
    _load(context, await _server_certificate(settings, database, identity))
    return context


async def _renew(
    settings: Settings, database: Database, identity: Identity, context: ssl.SSLContext, stop: asyncio.Event
) -> None:
    """Put a new certificate in place before the old one ends; connections that are open stay."""
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RENEWAL_INTERVAL.total_seconds()):
                await stop.wait()
                return
        try:
            _load(context, await _server_certificate(settings, database, identity))
        except TransientError as error:
            logger.warning("The TLS certificate was not looked at: %s", error, extra={"event": "tls_renewal_failed"})


async def _server_certificate(settings: Settings, database: Database, identity: Identity) -> ServerCertificate:
    names = [urlsplit(identity.tenant.base_url).hostname or "localhost", settings.host, "localhost", "127.0.0.1", "::1"]
    wanted = [name for name in dict.fromkeys(names) if name not in {"0.0.0.0", "::"}]  # noqa: S104 - not listened at
    return await authority.server_certificate(database, identity.authority, identity.sealing, wanted, datetime.now(UTC))


def _tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, certificate: ServerCertificate) -> None:
    """Hand the key over without laying it on a disk: OpenSSL's binding takes file names only."""
    descriptor = os.memfd_create("tls")
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as stream:
            stream.write(certificate.key + certificate.certificate)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


class _Passphrase(Exception):
    """OpenSSL asked for one."""


def _no_passphrase() -> str:
    raise _Passphrase


def _bad_certificate(reason: str) -> ConfigurationError:
    return ConfigurationError(
        reason,
        code="TlsCertificate",
        recommended_action="Give a certificate chain and its unencrypted key in PEM with --tls-cert and --tls-key, or "
        "leave both out to use the tenant's own CA.",
    )


def make_data_folder(data: Path) -> None:
    """Make the data folder, and see that it can be written."""
    try:
        if not data.exists():
            data.mkdir(parents=True)
            # The embedded database runs as a user of its own when we are root, and must pass through.
            data.chmod(0o711 if os.geteuid() == 0 else 0o700)
        probe = data / f".writable.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise ConfigurationError(
            f"The data folder {data} cannot be written: {error.strerror}.",
            code="DiskFull" if full else "DataFolderNotWritable",
            recommended_action="Free some space there."
            if full
            else "Name another folder with --data, or make this one writable for the account that runs the service.",
        ) from error
