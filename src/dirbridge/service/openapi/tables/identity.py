"""Tokens, keys and health."""

from __future__ import annotations

from dirbridge.service.openapi.operations import FORM, Body, Operation, Table, gives
from dirbridge.service.openapi.shapes.identity import (
    Alive,
    DeviceCode,
    DeviceCodeRequest,
    Discovery,
    Ready,
    SigningKeys,
    TokenAnswer,
    TokenRequest,
)

OAUTH: Table = {
    "auth.endpoints.configuration": gives(Discovery, None, refusals=(400,)),
    "auth.endpoints.keys": gives(SigningKeys, None, refusals=(400,)),
    "auth.endpoints.token": Operation(answer=TokenAnswer, body=Body(TokenRequest, media=FORM), refusals=(400, 401)),
    "auth.endpoints.device_code": Operation(
        answer=DeviceCode, body=Body(DeviceCodeRequest, media=FORM), refusals=(400, 401)
    ),
}
HEALTH: Table = {
    "health.healthz": gives(Alive, None),
    "health.readyz": gives(Ready, None),
}
