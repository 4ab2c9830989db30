"""A tenant comes to be once, and running `init` again only adds."""

import asyncio
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service import setup
from dirbridge.service.auth import secrets
from dirbridge.service.settings import Settings, load
from dirbridge.service.setup import Initialised, Wishes
from dirbridge.store import applications, audits, identity, people
from dirbridge.store.applications import Application
from dirbridge.store.database import Database
from tests.service.conftest import BASE_URL


async def test_new_tenant_has_all_it_needs(database: Database, settings: Settings, made: Initialised) -> None:
    """Domains, administrator, application, CA file, and hashes in place of secrets."""
    assert made.document() == {
        "tenantId": str(made.tenant.id),
        "baseUrl": BASE_URL,
        "caFile": str(settings.data / "ca.pem"),
        "adminUser": "admin@contoso.dirbridge.local",
        "adminPassword": made.admin_password,
        "clientId": str(made.client_id),
        "clientSecret": made.client_secret,
    }
    assert settings.ca_file.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
    assert made.admin_password
    assert made.client_secret
    async with database.connection() as conn:
        domains = await identity.domains(conn, made.tenant.id)
        (administrator,) = await people.administrators(conn, made.tenant.id)
        principal = await identity.service_principal_by_app(conn, made.tenant.id, made.client_id)
        assert principal is not None
        (credential,) = await identity.credentials(conn, made.tenant.id, principal.id)
    assert [(each.name, each.is_initial, each.is_default, each.is_verified) for each in domains] == [
        ("contoso.dirbridge.local", True, False, True),
        ("contoso.test", False, True, True),
    ]
    assert administrator.roles == ["Global Administrator"]
    assert await secrets.matches(administrator.password_hash, made.admin_password)
    assert not await secrets.matches(administrator.password_hash, made.admin_password + "x")
    assert await secrets.matches(credential.secret_hash, made.client_secret)
    assert credential.hint == made.client_secret[:3]


async def test_nothing_secret_lies_in_the_database(database: Database, made: Initialised) -> None:
    """Private keys are sealed, password and secret hashed; the audit trail holds neither."""
    async with database.connection() as conn:
        rows = await (await conn.execute("select sealed, public from keys")).fetchall()
        trail = await audits.latest(conn, made.tenant.id)
    assert len(rows) == 2
    assert all(b"PRIVATE" not in sealed + public for sealed, public in rows)
    assert {each.activity for each in trail} == {"Add client secret", "Create tenant"}
    assert str(made.client_secret) not in str(trail)
    assert str(made.admin_password) not in str(trail)


async def test_second_run_keeps_everything_and_adds_what_is_asked(
    database: Database, settings: Settings, made: Initialised
) -> None:
    """Same ids and keys, no secrets, one more domain, another name."""
    again = await setup.initialise(
        database, settings, Wishes(name="Contoso Ltd", domains=["contoso.test", "Fabrikam.Test."])
    )
    assert not again.is_new
    assert (again.admin_password, again.client_secret) == (None, None)
    assert (again.tenant.id, again.client_id, again.admin_user) == (made.tenant.id, made.client_id, made.admin_user)
    assert again.tenant.name == "Contoso Ltd"
    async with database.connection() as conn:
        domains = await identity.domains(conn, made.tenant.id)
        assert len(await identity.keys(conn, made.tenant.id, "ca")) == 1
    assert [(each.name, each.is_default) for each in domains] == [
        ("contoso.dirbridge.local", False),
        ("contoso.test", True),
        ("fabrikam.test", False),
    ]


async def test_new_secret_leaves_the_old_one_good(database: Database, settings: Settings, made: Initialised) -> None:
    """Whoever lost it gets another, and nobody else is locked out."""
    again = await setup.initialise(database, settings, Wishes(new_secret=True))
    async with database.connection() as conn:
        principal = await identity.service_principal_by_app(conn, made.tenant.id, made.client_id)
        assert principal is not None
        stored = await identity.credentials(conn, made.tenant.id, principal.id)
    for secret in (made.client_secret, again.client_secret):
        assert secret
        assert [await secrets.matches(each.secret_hash, secret) for each in stored].count(True) == 1


async def test_first_starts_at_once_make_one_tenant(database: Database, settings: Settings) -> None:
    """One of them makes it, the others find it."""
    made = await asyncio.gather(*(setup.initialise(database, settings, Wishes()) for _ in range(4)))
    assert [each.is_new for each in made].count(True) == 1
    assert len({each.tenant.id for each in made}) == 1
    assert len({each.client_id for each in made}) == 1


@pytest.mark.parametrize("name", ["contoso", "con toso.test", "-a.test", "ä.test", "a..test", f"{'a' * 64}.test", ""])
async def test_domain_that_is_none_is_refused_and_nothing_is_made(
    database: Database, settings: Settings, name: str
) -> None:
    """The name is shown, and the database stays empty."""
    with pytest.raises(ConfigurationError) as caught:
        await setup.initialise(database, settings, Wishes(domains=["contoso.test", name]))
    assert f"'{name}'" in caught.value.reason
    assert not await setup.is_initialised(database)


async def test_lost_sealing_key_is_not_replaced(database: Database, settings: Settings, made: Initialised) -> None:
    """A new one would open nothing: the start fails and says what to put back."""
    settings.sealing_key.unlink()
    for start in (setup.load(database, settings), setup.initialise(database, settings, Wishes())):
        with pytest.raises(ConfigurationError) as caught:
            await start
        assert caught.value.code == "SealingKeyMissing"
    assert not settings.sealing_key.exists()


async def test_empty_database_is_told(database: Database, settings: Settings) -> None:
    """Loading an identity where there is none names the command that makes it."""
    with pytest.raises(ConfigurationError, match="dirbridge init") as caught:
        await setup.load(database, settings)
    assert caught.value.code == "NotInitialised"


@pytest.mark.parametrize(
    ("first", "then", "port", "expected"),
    [
        ({}, {"listen": "127.0.0.1:9000"}, 9000, "https://127.0.0.1:9000"),
        ({}, {"listen": "127.0.0.1:0"}, 34567, "https://127.0.0.1:34567"),
        ({}, {"listen": "127.0.0.1:9000"}, None, "https://127.0.0.1:8443"),
        ({"base_url": "https://a.example"}, {"listen": "127.0.0.1:9000"}, 9000, "https://a.example"),
        ({"base_url": "https://a.example"}, {"base_url": "https://b.example"}, 8443, "https://b.example"),
    ],
)
async def test_base_url_that_was_given_stays_and_one_that_was_derived_follows(
    database: Database, tmp_path: Path, first: dict[str, str], then: dict[str, str], port: int | None, expected: str
) -> None:
    """Tokens and links are made of it, so a restart must not change it by accident."""
    await setup.initialise(database, load({"data": tmp_path, **first}, {}), Wishes())
    loaded = await setup.load(database, load({"data": tmp_path, **then}, {}), port)
    assert loaded.tenant.base_url == expected
    assert loaded.tokens.issuer == f"{expected}/{loaded.tenant.id}/v2.0"
    assert (await setup.load(database, load({"data": tmp_path}, {}))).tenant.base_url == expected


async def _sign_in_client(database: Database, tenant: UUID) -> Application | None:
    async with database.connection() as conn:
        return await applications.find(conn, tenant, setup.SIGN_IN_CLIENT, "app_id")


async def test_application_for_people_at_command_lines(
    database: Database, settings: Settings, made: Initialised
) -> None:
    """It is made with the tenant, again where it is missing; what an administrator took from it stays away."""
    tenant = made.tenant.id
    found = await _sign_in_client(database, tenant)
    assert found is not None
    assert (found.is_public, found.redirect_uris, found.app_roles) == (True, ["http://localhost"], [])
    assert set(setup.PERMISSIONS) < set(found.delegated_permissions)
    async with database.transaction() as conn:
        await applications.change(conn, tenant, msgspec.structs.replace(found, delegated_permissions=["User.Read"]))
    await setup.load(database, settings)
    narrowed = await _sign_in_client(database, tenant)
    assert narrowed is not None
    assert narrowed.delegated_permissions == ["User.Read"]
    await setup.initialise(database, settings, Wishes())
    completed = await _sign_in_client(database, tenant)
    assert completed is not None
    assert completed.delegated_permissions == found.delegated_permissions
    async with database.transaction() as conn:
        await applications.delete(conn, tenant, found.id)
    await setup.load(database, settings)
    assert await _sign_in_client(database, tenant) is not None
