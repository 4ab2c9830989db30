"""The secrets of a configuration: what each may be, what is sealed with it, and what its jobs take from them.

Called by `graph.secrets`, which replaces them, by `graph.synchronization` for new jobs, and by `notify`, which needs
recipients and the webhook's secret.

A confidential value is sealed for the origins it may be sent to. Who gives the whole set back with another address
must give such values again: else whoever may change an address could have a stored secret sent to a host of his own.

Source: Graph synchronizationSecretKeyStringValuePair.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.notify import webhook
from dirbridge.service.settings import MAILBOX
from dirbridge.store import secrets
from dirbridge.store.secrets import Secret

MASK = "********"
"""Shown in place of a confidential value; given back, it stands for the value that is stored."""

SHOWN = frozenset({
    "UserName", "BaseAddress", "ClientIdentifier", "SingleSignOnType", "Sandbox", "Url", "Domain", "TokenExpiration",
    "Oauth2AccessTokenCreationTime", "SyncAll", "InstanceName", "Oauth2ClientId", "CompanyId", "UpdateKeyOnSoftDelete",
    "SynchronizationSchedule", "SystemOfRecord", "SandboxName", "EnforceDomain", "SyncNotificationSettings",
    "SkipOutOfScopeDeletions", "Oauth2RedirectUri", "ApplicationTemplateIdentifier", "Oauth2TokenExchangeUri",
    "Oauth2AuthorizationUri", "AuthenticationType", "Server", "PerformInboundEntitlementGrants", "HardDeletesEnabled",
    "SyncAgentADContainer", "ValidateDomain", "TestReferences", "WebhookUrl",
})  # fmt: skip
"""Keys whose values are settings and are shown as they are."""

CONFIDENTIAL = frozenset({
    "Password", "SecretToken", "AppKey", "ClientSecret", "ConsumerKey", "ConsumerSecret", "TokenKey",
    "Oauth2AccessToken", "Oauth2RefreshToken", "Oauth2ClientSecret", "Oauth2AuthorizationCode",
    "SyncAgentCompatibilityKey", "ConnectionString", "WebhookSecret",
})  # fmt: skip
"""Keys whose values nobody is shown. `WebhookUrl` and `WebhookSecret` are ours, all others are Graph's."""

ADDRESSES = ("BaseAddress", "Url", "Oauth2TokenExchangeUri", "WebhookUrl")
SCENARIOS = ("AD2AADProvisioning", "AD2AADPasswordHash")
LONGEST = 32 * 1024
MOST_RECIPIENTS = 50

_KNOWN = {key.lower(): key for key in SHOWN | CONFIDENTIAL}


class SyncNotificationSettings(msgspec.Struct, rename="pascal"):
    """The JSON text of the secret of that name; what is left out keeps its default."""

    enabled: bool = False
    recipients: str | None = None
    delete_threshold_enabled: bool | msgspec.UnsetType = msgspec.UNSET
    delete_threshold_value: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] | msgspec.UnsetType = msgspec.UNSET

    def mailboxes(self) -> list[str]:
        """Give the recipients, once each."""
        return list(dict.fromkeys(part for part in re.split(r"[,;\s]+", self.recipients or "") if part))


Shape = TypeVar("Shape")


class _Domain(msgspec.Struct):
    domain: str


class _Scenario(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    app_key_scenario: str


async def read(conn: AsyncConnection[Any], sealing: Sealing, tenant: UUID, service_principal: UUID) -> dict[str, str]:
    """Open a configuration's secrets, by key."""
    return {
        row.key: sealing.unseal(bytes(row.sealed), _place(tenant, service_principal, row.key, row.bound_to)).decode()
        for row in await secrets.list_all(conn, tenant, service_principal)
    }


async def settings(
    conn: AsyncConnection[Any], sealing: Sealing, tenant: UUID, service_principal: UUID
) -> dict[str, str]:
    """Give the settings that a new job of the configuration begins with; none is changed before it is stored."""
    await secrets.lock(conn, tenant, service_principal)
    return settings_of(await read(conn, sealing, tenant, service_principal))


async def replace(
    conn: AsyncConnection[Any],
    sealing: Sealing,
    tenant: UUID,
    service_principal: UUID,
    domain: str,
    given: Mapping[str, str],
) -> None:
    """Replace the whole set, and hand its settings to the configuration's jobs in the same transaction.

    Args:
        domain: the directory that the configuration reads.
        given: values by key; `MASK` keeps a confidential one.

    Raises:
        ConfigurationError: a key or a value is not acceptable, or a kept one would go to another host.
    """
    await secrets.lock(conn, tenant, service_principal)
    stored = await read(conn, sealing, tenant, service_principal)
    wanted = {_key(key): value for key, value in given.items()}
    check(wanted, domain)
    wanted = {key: _kept(key, wanted, stored) if value == MASK else value for key, value in wanted.items()}
    _check_webhook(wanted)
    await secrets.replace(
        conn,
        tenant,
        service_principal,
        [_seal(sealing, tenant, service_principal, key, wanted) for key in sorted(wanted)],
    )
    before, after = settings_of(stored), settings_of(wanted)
    await secrets.share(
        conn, tenant, service_principal, settings=after, dropped=[name for name in before if name not in after]
    )


def check(values: Mapping[str, str], domain: str) -> None:
    """Look at every value by itself.

    Raises:
        ConfigurationError: a key or a value is not acceptable.
    """
    for key, value in values.items():
        _check(_key(key), value, domain)


def shown(values: Mapping[str, str]) -> dict[str, str]:
    """Give what may be shown of a set."""
    return {key: value if _is_shown(key, value) else MASK for key, value in values.items()}


def settings_of(values: Mapping[str, str]) -> dict[str, str]:
    """Give the settings of jobs that a set decides."""
    found: dict[str, str] = {}
    wish = notification_settings(values)
    if isinstance(wish.delete_threshold_enabled, bool):
        found["DeleteThresholdEnabled"] = str(wish.delete_threshold_enabled)
    if isinstance(wish.delete_threshold_value, int):
        found["DeleteThresholdValue"] = str(wish.delete_threshold_value)
    if "SkipOutOfScopeDeletions" in values:
        found["SkipOutOfScopeDeletions"] = values["SkipOutOfScopeDeletions"].strip().capitalize()
    return found


def notification_settings(values: Mapping[str, str]) -> SyncNotificationSettings:
    """Read who is told of a configuration's jobs.

    Raises:
        ConfigurationError: the JSON text does not fit.
    """
    key = "SyncNotificationSettings"
    return _document(key, values[key], SyncNotificationSettings) if key in values else SyncNotificationSettings()


# What a value may be --------------------------------------------------------------------------------------------------


def _key(name: str) -> str:
    key = _KNOWN.get(name.strip().lower())
    if key is None:
        raise _refused(name, "is no key of a secret", f"Use one of {', '.join(sorted(_KNOWN.values()))}.")
    return key


def _check(key: str, value: str, domain: str) -> None:
    if len(value) > LONGEST:
        raise _refused(key, f"has {len(value):,} characters and may have {LONGEST:,}", "Give a shorter value.")
    if value == MASK and key in CONFIDENTIAL:
        return
    match key:
        case "Domain":
            named = _document(key, value, _Domain).domain.strip().rstrip(".").lower()
            if named != domain:
                raise _refused(key, f"names '{named}', and this configuration reads '{domain}'", "Name that one.")
        case "AppKey" if value.lstrip().startswith("{"):
            scenario = _document(key, value, _Scenario).app_key_scenario
            if scenario not in SCENARIOS:
                raise _refused(key, f"names the scenario '{scenario}'", f"Use one of {', '.join(SCENARIOS)}.")
        case "SyncNotificationSettings":
            _check_recipients(_document(key, value, SyncNotificationSettings))
        case "SkipOutOfScopeDeletions":
            if value.strip().lower() not in {"true", "false"}:
                raise _refused(key, f"is '{value[:40]}'", "Use True or False.")
        case _ if key in ADDRESSES:
            _check_address(key, value)


def _check_recipients(wish: SyncNotificationSettings) -> None:
    mailboxes = wish.mailboxes()
    key = "SyncNotificationSettings"
    if wish.enabled and not mailboxes:
        raise _refused(key, "is enabled and names no Recipients", "Name at least one, or set Enabled to false.")
    if len(mailboxes) > MOST_RECIPIENTS:
        raise _refused(
            key, f"names {len(mailboxes)} recipients and may name {MOST_RECIPIENTS}", "Use a distribution list."
        )
    for mailbox in mailboxes:
        if not MAILBOX.fullmatch(mailbox):
            raise _refused(
                key, f"names '{mailbox[:80]}', which is no mail address", "Write it as name@contoso.example."
            )


def _check_address(key: str, value: str) -> None:
    try:
        parts = urlsplit(value.strip())
        usable = parts.scheme in {"https", "http"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, usable = urlsplit(""), False
    if not usable or parts.fragment:
        raise _refused(key, "is no address", "Write it as https://host/path.")
    if parts.username is not None or parts.password is not None:
        raise _refused(key, "holds a user name or password", "Give these by their own keys.")
    if key == "WebhookUrl" and parts.scheme != "https":
        raise _refused(key, "is not https", "Write it as https://host/path.")


def _check_webhook(values: Mapping[str, str]) -> None:
    if ("WebhookUrl" in values) != ("WebhookSecret" in values):
        missing = "WebhookSecret" if "WebhookUrl" in values else "WebhookUrl"
        raise _refused(missing, "is missing", "WebhookUrl and WebhookSecret belong together.")
    if "WebhookSecret" in values:
        try:
            webhook.key(values["WebhookSecret"])
        except ValueError as error:
            raise _refused("WebhookSecret", str(error), "Use a long random text.") from error


def _kept(key: str, wanted: Mapping[str, str], stored: Mapping[str, str]) -> str:
    """Give a stored confidential value in place of the mask, if it stays with the host it was given for."""
    if key not in stored:
        raise _refused(key, f"is '{MASK}', and no value is stored for it", "Give its value.")
    if _bound_to(key, wanted) != _bound_to(key, stored):
        raise _refused(key, "was given for another address", "Give its value again.")
    return stored[key]


def _document(key: str, text: str, shape: type[Shape]) -> Shape:
    try:
        return msgspec.json.decode(text, type=shape)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise _refused(key, f"holds JSON that cannot be used: {error}", "Correct it.") from error


def _refused(key: str, fault: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"The secret '{key[:80]}' {fault}.", code="InvalidSecret", recommended_action=remedy)


# Sealing --------------------------------------------------------------------------------------------------------------


def _is_shown(key: str, value: str) -> bool:
    """Tell whether a value is a setting. An application key that only names a scenario is one."""
    return key in SHOWN or (key == "AppKey" and value.lstrip().startswith("{"))


def _bound_to(key: str, values: Mapping[str, str]) -> str:
    """Give the origins that a confidential value may be sent to."""
    if key not in CONFIDENTIAL:
        return ""
    names = ("WebhookUrl",) if key == "WebhookSecret" else ADDRESSES[:-1]
    return " ".join(_origin(values[name]) for name in names if name in values)


def _origin(address: str) -> str:
    parts = urlsplit(address.strip())
    return f"{parts.scheme}://{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _seal(sealing: Sealing, tenant: UUID, service_principal: UUID, key: str, values: Mapping[str, str]) -> Secret:
    bound_to = _bound_to(key, values)
    sealed = sealing.seal(values[key].encode(), _place(tenant, service_principal, key, bound_to))
    return Secret(key, bound_to, sealed)


def _place(tenant: UUID, service_principal: UUID, key: str, bound_to: str) -> str:
    return f"configuration_secrets/{tenant}/{service_principal}/{key}/{bound_to}"
