"""msal, as its documentation and docs/clients.md configure it."""

from __future__ import annotations

import re
from typing import Any

import msal
import pytest

from tests.clients.cloud import MARKS, PERSON_CLIENT, Cloud
from tests.clients.person import waiting_for
from tests.clients.test_azure_identity import claims

pytestmark = MARKS

SCOPES = ["https://graph.microsoft.com/.default"]


@pytest.mark.parametrize(
    ("heading", "strength"), [("msal, with a client secret", "1"), ("msal, with a certificate", "2")]
)
async def test_confidential_client_gets_a_token(cloud: Cloud, heading: str, strength: str) -> None:
    """By secret, and by certificate with PS256; the API takes it, and the second call answers from msal's cache."""
    left = cloud.run(heading)
    result = left["result"]
    assert (result["token_type"], result["token_source"]) == ("Bearer", "identity_provider")
    assert claims(result["access_token"])["azpacr"] == strength
    assert await cloud.status("/users", result["access_token"]) == 200
    again = left["application"].acquire_token_for_client(scopes=SCOPES)
    assert (again["access_token"], again["token_source"]) == (result["access_token"], "cache")


async def test_authority_is_found_by_its_issuer(cloud: Cloud) -> None:
    """`oidc_authority` wants the issuer to be the address it was found at, and asks nobody else."""
    values = cloud.values
    application = msal.ConfidentialClientApplication(
        values["CLIENT_ID"],
        client_credential=values["CLIENT_SECRET"],
        oidc_authority=f"{values['URL']}/{values['TENANT']}/v2.0",
        verify=values["CA_FILE"],
    )
    assert claims(application.acquire_token_for_client(scopes=SCOPES)["access_token"])["tid"] == values["TENANT"]


async def test_refusal_has_its_parts(cloud: Cloud) -> None:
    """msal hands the error on as it came: number, ids and time."""
    values = cloud.values
    application = msal.ConfidentialClientApplication(
        values["CLIENT_ID"], client_credential="not the secret", authority=f"{values['URL']}/{values['TENANT']}",
        instance_discovery=False, verify=values["CA_FILE"],
    )  # fmt: skip
    refused = application.acquire_token_for_client(scopes=SCOPES)
    assert refused["error"] == "invalid_client"
    assert refused["error_codes"] == [7000215]
    assert refused["error_description"].startswith("AADSTS7000215: ")
    assert {"timestamp", "trace_id", "correlation_id"} <= set(refused)


# People ---------------------------------------------------------------------------------------------------------------


async def check(cloud: Cloud, result: dict[str, Any]) -> None:
    """See that a token is the first administrator's, and that the API takes it."""
    assert "access_token" in result, result
    name = cloud.installation.made["adminUser"]
    assert result["id_token_claims"]["preferred_username"] == name
    said = claims(result["access_token"])
    assert (said["azp"], said["azpacr"], said["idtyp"]) == (PERSON_CLIENT, "0", "user")
    assert "User.Read" in said["scp"].split()
    assert await cloud.status("/me", result["access_token"]) == 200


async def test_a_person_approves_a_device(cloud: Cloud) -> None:
    """They enter the code elsewhere, sign in and approve; msal gets tokens and keeps the account."""
    async with cloud.person() as person:

        async def approve(message: str) -> None:
            address, code = re.search(r"(https://\S+) and enter the code (\S+) ", message).groups()  # type: ignore[union-attr]
            await person.open(address)
            await person.send(user_code=code)
            await person.send(decision="approve")

        left = await cloud.run_beside("msal, for a person at another device", print=waiting_for(approve))
        await check(cloud, left["result"])
        assert [each["username"] for each in left["application"].get_accounts()] == [
            cloud.installation.made["adminUser"]
        ]


async def test_a_person_declines_a_device(cloud: Cloud) -> None:
    """msal hears so, and stops asking."""
    async with cloud.person() as person:

        async def decline(message: str) -> None:
            address, code = re.search(r"(https://\S+) and enter the code (\S+) ", message).groups()  # type: ignore[union-attr]
            await person.open(address)
            await person.send(user_code=code)
            await person.send(decision="decline")

        left = await cloud.run_beside("msal, for a person at another device", print=waiting_for(decline))
        assert left["result"]["error"] == "authorization_declined"


async def test_a_person_signs_in_with_a_browser(cloud: Cloud) -> None:
    """Authorization code with PKCE; and later, silently, a refresh token for new ones."""
    async with cloud.person() as person:

        async def sign_in(address: str) -> dict[str, str]:
            await person.open(address)
            if "decision" in person.text:  # nobody is asked twice what they allowed for good
                await person.send(decision="allow")
            return person.brings("http://localhost:8400")

        left = await cloud.run_beside("msal, for a person at a browser", open_browser=waiting_for(sign_in))
    assert "code_challenge_method=S256" in left["flow"]["auth_uri"]
    await check(cloud, left["result"])
    await check(cloud, {"id_token_claims": left["result"]["id_token_claims"], **left["renewed"]})
    assert left["renewed"]["token_source"] == "identity_provider"
    assert left["renewed"]["access_token"] != left["result"]["access_token"]
