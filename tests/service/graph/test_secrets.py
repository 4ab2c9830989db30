"""Secrets of a configuration: replaced as a whole, sealed, shown masked, bound to their host, and heeded by jobs."""

import json
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service import configuration
from dirbridge.service.auth.sealing import Sealing
from tests.service.graph.conftest import BASE, TENANT, World, add_job, code, message

JOB = "AD2AADProvisioning.test"
NOTIFY = {"Enabled": True, "Recipients": "ops@contoso.test", "DeleteThresholdEnabled": True, "DeleteThresholdValue": 50}


class Configuration:
    """An application and the way to its secrets."""

    def __init__(self, world: World, principal: UUID) -> None:
        self.world = world
        self.principal = principal
        self.path = f"servicePrincipals/{principal}/synchronization/secrets"

    async def put(self, **values: Any) -> httpx2.Response:
        pairs = [
            {"key": key, "value": value if isinstance(value, str) else json.dumps(value)}
            for key, value in values.items()
        ]
        return await self.world.client.put(self.path, json={"value": pairs})

    async def shown(self) -> dict[str, str]:
        answer = await self.world.get(self.path)
        assert answer.status_code == 200, answer.text
        return {pair["key"]: pair["value"] for pair in answer.json()["value"]}

    async def opened(self) -> dict[str, str]:
        async with self.world.database.connection() as conn:
            return await configuration.read(conn, self.world.app.state.sealing, TENANT, self.principal)

    async def settings(self, job: str = JOB) -> dict[str, str]:
        ((settings,),) = await self.world.run("select settings from jobs where id = %s", (job,))
        assert isinstance(settings, dict)
        return settings


@pytest.fixture
async def made(world: World) -> Configuration:
    return Configuration(world, await add_job(world))


async def test_a_set_is_replaced_as_a_whole(made: Configuration) -> None:
    """What is left out is gone."""
    assert await made.shown() == {}
    assert (await made.put(Domain={"domain": "Contoso.Test."}, SyncAll="true")).status_code == 204
    assert (await made.put(AppKey={"appKeyScenario": "AD2AADProvisioning"})).status_code == 204
    answer = await made.world.get(made.path)
    assert answer.json() == {
        "@odata.context": f"{BASE}/v1.0/$metadata#servicePrincipals('{made.principal}')/synchronization/secrets",
        "value": [{"key": "AppKey", "value": '{"appKeyScenario": "AD2AADProvisioning"}'}],
    }
    assert (await made.world.get(made.path + "/$count")).text == "1"
    assert (await made.put()).status_code == 204
    assert await made.shown() == {}


async def test_confidential_values_are_sealed_and_masked(made: Configuration) -> None:
    """Settings are shown as they are; nothing confidential is readable in the answer or in the table."""
    values = {
        "BaseAddress": "https://scim.example/v2",
        "SecretToken": "tell-nobody-token",
        "Password": "tell-nobody-word",
        "AppKey": "tell-nobody-key",
        "ConnectionString": "tell-nobody-string",
        "UserName": "sync",
    }
    assert (await made.put(**values)).status_code == 204
    assert await made.opened() == values
    hidden = {"SecretToken", "Password", "AppKey", "ConnectionString"}
    assert await made.shown() == {
        key: configuration.MASK if key in hidden else value for key, value in sorted(values.items())
    }
    rows = await made.world.run("select key, sealed from configuration_secrets")
    assert len(rows) == len(values)
    assert [key for key, sealed in rows if b"tell-nobody" in bytes(sealed) or b"sync" in bytes(sealed)] == []
    ((detail,),) = await made.world.run("select detail from audits where target = %s", (str(made.principal),))
    assert detail == {"keys": sorted(values)}


async def test_keys_are_known_in_any_case_and_once(made: Configuration) -> None:
    """As enumerations are read; a key that Graph does not have is refused with the list."""
    assert (await made.put(syncall="true")).status_code == 204
    assert list(await made.shown()) == ["SyncAll"]
    refused = await made.put(Pasword="x")
    assert (refused.status_code, code(refused)) == (400, "InvalidSecret")
    assert "'Pasword' is no key of a secret" in message(refused)
    twice = await made.world.client.put(
        made.path, json={"value": [{"key": "UserName", "value": "a"}, {"key": "username", "value": "b"}]}
    )
    assert (twice.status_code, "more than once" in message(twice)) == (400, True)
    assert list(await made.shown()) == ["SyncAll"]


async def test_the_mask_given_back_keeps_the_value(made: Configuration) -> None:
    """A client that changes one setting sends what it was shown."""
    await made.put(BaseAddress="https://scim.example/v2", SecretToken="old-token")
    shown = await made.shown()
    assert (await made.put(**{**shown, "BaseAddress": "https://scim.example/v3"})).status_code == 204
    assert await made.opened() == {"BaseAddress": "https://scim.example/v3", "SecretToken": "old-token"}
    refused = await made.put(Password=configuration.MASK)
    assert (refused.status_code, "no value is stored" in message(refused)) == (400, True)


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/v2", "https://scim.example:8443/v2", "http://scim.example/v2",
        "https://scim.example.evil.example/", None,
    ],
)  # fmt: skip
async def test_a_stored_secret_is_not_sent_to_a_new_host(made: Configuration, address: str | None) -> None:
    """A secret is bound to its host: it is asked for again when the address changes."""
    await made.put(BaseAddress="https://scim.example/v2", SecretToken="old-token")
    wanted = {"SecretToken": configuration.MASK, **({"BaseAddress": address} if address else {})}
    refused = await made.put(**wanted)
    assert (refused.status_code, code(refused)) == (400, "InvalidSecret")
    assert "'SecretToken' was given for another address" in message(refused)
    assert (await made.opened())["BaseAddress"] == "https://scim.example/v2"
    assert (await made.put(**{**wanted, "SecretToken": "new-token"})).status_code == 204
    assert (await made.opened())["SecretToken"] == "new-token"


async def test_a_sealed_value_opens_only_where_it_was_given(made: Configuration) -> None:
    """Changing the address in the table does not turn the secret to another host."""
    await made.put(BaseAddress="https://scim.example/v2", SecretToken="old-token")
    await made.world.run(
        "update configuration_secrets set bound_to = 'https://evil.example:443' where key = 'SecretToken'"
    )
    with pytest.raises(ConfigurationError) as error:
        await made.opened()
    assert error.value.code == "SealedTextDamaged"


async def test_settings_take_effect_in_all_jobs_of_the_configuration(made: Configuration) -> None:
    """In the same transaction, for jobs that come later too, and in no other configuration's."""
    other = await add_job(made.world, "AD2AADProvisioning.other", "fabrikam.test")
    await made.world.run('update jobs set settings = \'{"DomainFQDN": "contoso.test"}\' where id = %s', (JOB,))
    answer = await made.put(SyncNotificationSettings=NOTIFY, SkipOutOfScopeDeletions="true")
    assert answer.status_code == 204, answer.text
    decided = {"DeleteThresholdEnabled": "True", "DeleteThresholdValue": "50", "SkipOutOfScopeDeletions": "True"}
    assert await made.settings() == {"DomainFQDN": "contoso.test", **decided}
    assert await made.settings("AD2AADProvisioning.other") == {}
    later = await made.world.client.post(
        f"servicePrincipals/{made.principal}/synchronization/jobs", json={"templateId": "AD2AADProvisioning"}
    )
    assert later.status_code == 201, later.text
    assert await made.settings(later.json()["id"]) == {"DomainFQDN": "contoso.test", **decided}
    elsewhere = await made.world.client.post(
        f"servicePrincipals/{other}/synchronization/jobs", json={"templateId": "AD2AADProvisioning"}
    )
    assert await made.settings(elsewhere.json()["id"]) == {"DomainFQDN": "fabrikam.test"}


async def test_what_the_set_decides_no_more_has_its_default_again(made: Configuration) -> None:
    """And what a job was told by itself stays."""
    await made.put(SyncNotificationSettings=NOTIFY, SkipOutOfScopeDeletions="True")
    await made.world.run('update jobs set settings = settings || \'{"MemberThresholdValue": "7"}\'')
    await made.put(SkipOutOfScopeDeletions="False")
    assert await made.settings() == {"SkipOutOfScopeDeletions": "False", "MemberThresholdValue": "7"}


async def test_a_refused_set_changes_nothing(made: Configuration) -> None:
    """Neither the secrets nor the jobs."""
    await made.put(SyncNotificationSettings=NOTIFY)
    before = await made.opened(), await made.settings()
    refused = await made.put(
        SkipOutOfScopeDeletions="True", SyncNotificationSettings=NOTIFY | {"DeleteThresholdValue": -1}
    )
    assert refused.status_code == 400
    assert (await made.opened(), await made.settings()) == before


async def test_a_job_in_quarantine_tries_at_once_with_its_new_secrets(made: Configuration) -> None:
    """One that runs keeps to its interval, a paused one stays paused."""
    await made.world.run("update jobs set state = 'Active', next_run = '2099-01-01', quarantine = '{}'")
    await add_job(made.world, "AD2AADProvisioning.healthy", "fabrikam.test")
    await made.world.run("update jobs set service_principal = %s", (made.principal,))
    await made.put(SyncAll="true")
    rows = await made.world.run("select id, state, next_run <= now() from jobs order by id")
    assert rows == [("AD2AADProvisioning.healthy", "Paused", None), (JOB, "Active", True)]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("Domain", "contoso.test", "JSON is malformed"),
        ("Domain", '{"domain":"fabrikam.test"}', "names 'fabrikam.test', and this configuration reads 'contoso.test'"),
        ("Domain", "{}", "missing required field `domain`"),
        ("AppKey", '{"appKeyScenario":"Everything"}', "names the scenario 'Everything'"),
        ("AppKey", '{"appKeyScenario":"AD2AADProvisioning","key":"x"}', "unknown field `key`"),
        ("SkipOutOfScopeDeletions", "maybe", "Use True or False."),
        ("SyncNotificationSettings", "{", "Input data was truncated"),
        ("SyncNotificationSettings", "[]", "Expected `object`"),
        ("SyncNotificationSettings", '{"Enabled":"true"}', "Expected `bool`, got `str` - at `$.Enabled`"),
        ("SyncNotificationSettings", '{"Enabled":true}', "names no Recipients"),
        ("SyncNotificationSettings", '{"Enabled":true,"Recipients":"nobody"}', "'nobody', which is no mail address"),
        ("SyncNotificationSettings", '{"Recipients":"a@b\\r\\nBcc: c@d"}', "'Bcc:', which is no mail address"),
        ("SyncNotificationSettings", '{"DeleteThresholdValue":0}', "at `$.DeleteThresholdValue`"),
        ("SyncNotificationSettings", '{"DeleteThresholdValue":1.5}', "Expected `int`"),
        ("SyncNotificationSettings", "[" * 30000, "cannot be used"),
        ("BaseAddress", "scim.example", "is no address"),
        ("BaseAddress", "https://user:word@scim.example", "holds a user name or password"),
        ("Url", "https://[::1", "is no address"),
        ("WebhookUrl", "http://hook.example/", "is not https"),
        ("UserName", "x" * 40_000, "has 40,000 characters"),
    ],
)
async def test_a_value_that_cannot_be_heeded_is_refused(made: Configuration, key: str, value: str, said: str) -> None:
    """With the key, and the reason."""
    refused = await made.put(**{key: value})
    assert (refused.status_code, code(refused)) == (400, "InvalidSecret")
    assert message(refused).startswith(f"The secret '{key}' ")
    assert said in message(refused)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"WebhookUrl": "https://hook.example/"}, "'WebhookSecret' is missing"),
        ({"WebhookSecret": "x" * 30}, "'WebhookUrl' is missing"),
        ({"WebhookUrl": "https://hook.example/", "WebhookSecret": "short"}, "is a key of 5 bytes, at least 24"),
        ({"WebhookUrl": "https://hook.example/", "WebhookSecret": "whsec_ä"}, "base64 is expected"),
    ],
)
async def test_a_webhook_needs_address_and_secret(made: Configuration, values: dict[str, str], said: str) -> None:
    """An unsigned message could come from anybody."""
    refused = await made.put(**values)
    assert (refused.status_code, said in message(refused)) == (400, True)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"value":[{"key":"Domain"}]}', b'{"value":[{"key":null}]}'])
async def test_a_body_of_another_form_is_refused(made: Configuration, content: bytes) -> None:
    """And leaves the set as it was."""
    await made.put(SyncAll="true")
    answer = await made.world.client.put(made.path, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, code(answer)) == (400, "BadRequest")
    assert await made.shown() == {"SyncAll": "true"}


async def test_who_only_reads_jobs_reads_no_secrets(made: Configuration) -> None:
    """Not even masked; and an application that does not exist has none."""
    headers = made.world.bearer("Synchronization.Read.All")
    assert (await made.world.client.get(made.path, headers=headers)).status_code == 403
    assert (await made.world.client.put(made.path, headers=headers, json={"value": []})).status_code == 403
    assert (await made.world.get(f"servicePrincipals/{uuid4()}/synchronization/secrets")).status_code == 404


async def test_a_wrong_sealing_key_is_told(made: Configuration) -> None:
    """The set cannot be read, and the answer says which file to put back."""
    await made.put(SyncAll="true")
    made.world.app.state.sealing = Sealing([bytes(31) + b"x"])
    refused = await made.world.get(made.path)
    assert (refused.status_code, code(refused)) == (400, "SealingKeyWrong")


async def test_a_changed_secret_is_tried_at_once(made: Configuration) -> None:
    """A job that waits because it failed is due; the next attempt shows whether the change mended it."""
    await made.world.run(
        """update jobs set state = 'Active', quarantine = '{"reason": "Unknown"}', next_run = now() + interval '1 hour'
           where id = %s""",
        (JOB,),
    )
    assert (await made.put(SyncNotificationSettings=NOTIFY)).status_code == 204
    assert await made.world.run("select next_run <= now() from jobs where id = %s", (JOB,)) == [(True,)]
