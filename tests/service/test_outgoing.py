"""Where the service connects to: a name is judged by its address, and that address is connected to."""

import asyncio
import socket
from typing import Any

import pytest

from dirbridge.contract.errors import ConfigurationError, TransientError
from dirbridge.service import outgoing
from dirbridge.service.outgoing import Outgoing


def names(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
    """Let a name service give these addresses, another list each time that it is asked."""
    left = list(answers)

    async def resolve(_host: str, port: int, **_more: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in left.pop(0)]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "::1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "0.0.0.0",
        "169.254.169.254", "fe80::1", "224.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
        "2002:a00:1::1", "240.0.0.1", "::",
    ],
)  # fmt: skip
async def test_what_is_not_public_is_refused(address: str) -> None:
    """In every way of writing it."""
    with pytest.raises(ConfigurationError) as caught:
        await Outgoing().resolve(address, 443)
    assert caught.value.code == "AddressNotAllowed"


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
async def test_what_is_public_is_allowed(address: str) -> None:
    """Without a setting."""
    assert await Outgoing().resolve(address, 443) == [address]


@pytest.mark.parametrize(
    ("allowed", "address", "passes"),
    [
        ("10.1.0.0/16", "10.1.2.3", True),
        ("10.1.0.0/16", "::ffff:10.1.2.3", True),
        ("10.1.0.0/16", "10.2.2.3", False),
        ("127.0.0.1/32, fd00::/8", "127.0.0.1", True),
        ("127.0.0.1/32, fd00::/8", "fd00::5", True),
        ("169.254.0.0/16", "169.254.169.254", False),
        ("0.0.0.0/0", "0.0.0.0", False),
        ("::/0", "10.1.2.3", False),
    ],
)
async def test_private_networks_are_allowed_by_name(allowed: str, address: str, passes: bool) -> None:
    """Link-local addresses, where clouds keep their machines' credentials, never are."""
    out = Outgoing(outgoing.networks(allowed))
    if passes:
        assert await out.resolve(address, 443) == [address]
        return
    with pytest.raises(ConfigurationError):
        await out.resolve(address, 443)


async def test_a_name_with_one_address_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where another one is public: it would be tried next."""
    names(monkeypatch, ["1.1.1.1", "10.0.0.1"])
    with pytest.raises(ConfigurationError) as caught:
        await Outgoing().resolve("hook.example", 443)
    assert "hook.example has the address 10.0.0.1, which is a private one" in caught.value.reason


async def test_the_address_judged_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that means another place a moment later is not asked again."""
    tried: list[str] = []

    async def connect(_socket: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address[0])
        raise ConnectionRefusedError(111, "Connection refused")

    names(monkeypatch, ["1.1.1.1", "1.0.0.1"], ["127.0.0.1"])
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", connect, raising=False)
    with pytest.raises(TransientError) as caught:
        await Outgoing().connect("hook.example", 443)
    assert (tried, caught.value.code) == (["1.1.1.1", "1.0.0.1"], "HostUnreachable")


async def test_a_name_that_nobody_knows_is_told() -> None:
    """It may be known later."""
    with pytest.raises(TransientError) as caught:
        await Outgoing().resolve("no-such-name.invalid", 443)
    assert (caught.value.code, "no-such-name.invalid" in caught.value.reason) == ("HostNotFound", True)


async def test_a_name_that_is_none_is_told() -> None:
    """A label too long for any name service."""
    with pytest.raises(TransientError) as caught:
        await Outgoing().resolve("x" * 70 + ".example", 443)
    assert caught.value.code == "HostNotFound"
