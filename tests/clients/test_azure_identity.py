"""azure-identity, as its documentation and docs/clients.md configure it."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import httpx2
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient

from tests.clients.cloud import MARKS, PERSON_CLIENT, Cloud
from tests.clients.person import waiting_for

pytestmark = MARKS


def claims(token: str) -> dict[str, Any]:
    """Read what a token says."""
    part = token.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return read


@pytest.mark.parametrize(
    ("heading", "strength"),
    [("azure-identity, with a client secret", "1"), ("azure-identity, with a certificate", "2")],
)
async def test_credential_gets_a_token(cloud: Cloud, heading: str, strength: str) -> None:
    """By secret, and by certificate with RS256; the token says by which, and the API takes it."""
    token = cloud.run(heading)["token"].token
    said = claims(token)
    assert (said["azp"], said["azpacr"], said["idtyp"]) == (cloud.values["CLIENT_ID"], strength, "app")
    assert await cloud.status("/users", token) == 200


async def test_the_service_s_own_scope_is_the_same_resource(cloud: Cloud) -> None:
    """`https://HOST/.default`, which SDKs derive from the address, and Graph's own mean one audience."""
    credential = cloud.run("azure-identity, with a client secret")["credential"]
    host = httpx2.URL(cloud.values["URL"]).host
    ours = claims(credential.get_token(f"https://{host}/.default").token)
    theirs = claims(credential.get_token("https://graph.microsoft.com/.default").token)
    assert ours["aud"] == theirs["aud"]
    assert ours["roles"] == theirs["roles"]


async def test_wrong_secret_is_told_with_its_number(cloud: Cloud) -> None:
    """The error that scripts catch names the reason as Entra ID does."""
    values = cloud.values
    credential = ClientSecretCredential(
        values["TENANT"], values["CLIENT_ID"], "not the secret", authority=values["URL"],
        disable_instance_discovery=True, connection_verify=values["CA_FILE"],
    )  # fmt: skip
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        credential.get_token("https://graph.microsoft.com/.default")


async def test_a_person_approves_a_device(cloud: Cloud) -> None:
    """They enter the code that the credential's call-back shows, and approve."""
    async with cloud.person() as person:

        async def approve(message: str) -> None:
            address, code = re.fullmatch(r"Open (\S+) and enter (\S+)\.", message).groups()  # type: ignore[union-attr]
            await person.open(address)
            await person.send(user_code=code)
            await person.send(decision="approve")

        left = await cloud.run_beside("azure-identity, for a person at another device", print=waiting_for(approve))
    said = claims(left["token"].token)
    assert (said["azp"], said["idtyp"]) == (PERSON_CLIENT, "user")
    assert await cloud.status("/me", left["token"].token) == 200
    sdk = cloud.run("msgraph-sdk for Python")
    # Tokens with continuous access evaluation are kept apart: for one of those the person would be asked again.
    provider = AzureIdentityAuthenticationProvider(left["credential"], scopes=["User.Read"], is_cae_enabled=False)
    adapter = GraphRequestAdapter(provider, client=sdk["http_client"])
    adapter.base_url = f"{cloud.values['URL']}/v1.0"
    me = await GraphServiceClient(request_adapter=adapter).me.get()
    assert me.user_principal_name == cloud.installation.made["adminUser"]
    await sdk["http_client"]._transport.transport.aclose()
