"""Remembered tokens are forgotten with their time, their keys and their number."""

from dirbridge.service.auth.verified import Verified


def test_token_is_found_until_it_expires() -> None:
    """The very same token, with the very same keys, in its time."""
    known = Verified()
    assert known.find("token", ("a",), 100.0) is None
    known.keep("token", {"exp": 200, "sub": "me"})
    assert known.find("token", ("a",), 200.0) == {"exp": 200, "sub": "me"}
    assert known.find("tokem", ("a",), 100.0) is None
    assert known.find("token", ("a",), 200.5) is None
    assert known.find("token", ("a",), 100.0) is None


def test_other_keys_make_all_tokens_unknown() -> None:
    """A token by a key that was withdrawn is verified anew, and refused there."""
    known = Verified()
    known.find("token", ("b", "a"), 100.0)
    known.keep("token", {"exp": 200})
    assert known.find("token", ("b", "a"), 100.0)
    assert known.find("token", ("b",), 100.0) is None


def test_the_oldest_goes_first() -> None:
    """No more than the bound is remembered."""
    known = Verified(most=2)
    for number in range(3):
        known.keep(f"token {number}", {"exp": 200})
    assert [known.find(f"token {number}", (), 100.0) for number in range(3)] == [None, {"exp": 200}, {"exp": 200}]
