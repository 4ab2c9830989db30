"""msal, as its documentation and docs/clients.md configure it."""

from __future__ import annotations

import msal
import pytest

from tests.clients.cloud import MARKS, Cloud
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
