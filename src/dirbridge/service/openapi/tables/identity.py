"""Tokens, keys and health."""

from __future__ import annotations

from dirbridge.service.openapi.operations import FORM, Body, Operation, Options, Table, gives
from dirbridge.service.openapi.shapes.identity import (
    Alive,
    DeviceCode,
    DeviceCodeRequest,
    Discovery,
    Instance,
    Ready,
    SigningKeys,
    TokenAnswer,
    TokenRequest,
    UserInfo,
)

OAUTH: Table = {
    "auth.oauth.endpoints.configuration": gives(Discovery, None, refusals=(400,)),
    "auth.oauth.endpoints.keys": gives(SigningKeys, None, refusals=(400,)),
    "auth.oauth.endpoints.token": Operation(
        answer=TokenAnswer, body=Body(TokenRequest, media=FORM), refusals=(400, 401)
    ),
    "auth.oauth.endpoints.device_code": Operation(
        answer=DeviceCode, body=Body(DeviceCodeRequest, media=FORM), refusals=(400, 401, 429)
    ),
    "auth.oauth.endpoints.instance": gives(
        Instance,
        Options(
            plain={
                "api-version": "Is not looked at.",
                "authorization_endpoint": "The address whose authority is looked for.",
            }
        ),
        refusals=(400,),
    ),
    "auth.oauth.userinfo.userinfo": gives(UserInfo, None, permissions=("openid",)),
}
HEALTH: Table = {
    "health.healthz": gives(Alive, None),
    "health.readyz": gives(Ready, None),
}
