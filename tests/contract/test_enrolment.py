"""Enrolment codes survive being carried, and tell when they did not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirbridge.contract import enrolment
from dirbridge.contract.enrolment import EnrolmentCode
from dirbridge.contract.errors import ConfigurationError

CODE = EnrolmentCode(bytes(range(16)), "ab" * 32, ("contoso.test", "fabrikam.test"))


def test_what_is_rendered_is_parsed() -> None:
    """A code comes back whole, also when a mail program broke it into lines."""
    text = enrolment.render(CODE)
    assert enrolment.parse(text) == CODE
    assert enrolment.parse(f"  {text[:40]}\n {text[40:]}\n") == CODE
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    """A code that was cut, or in which a character changed, is never taken for another."""
    text = enrolment.render(CODE)
    if data.draw(st.booleans()):
        damaged = text[: data.draw(st.integers(0, len(text) - 1))]
    else:
        place = data.draw(st.integers(0, len(text) - 1))
        other = data.draw(st.sampled_from([letter for letter in "Aa0-_Zz9!" if letter != text[place]]))
        damaged = text[:place] + other + text[place + 1 :]
    with pytest.raises(ConfigurationError) as raised:
        enrolment.parse(damaged)
    assert raised.value.code == "EnrolmentCodeDamaged"
    assert "Copy the whole code" in raised.value.recommended_action
    assert CODE.secret.hex() not in str(raised.value)


def test_secret_is_not_shown() -> None:
    """A code in a log or traceback does not give its secret away."""
    assert "secret" not in repr(CODE)
    assert enrolment.hash_secret(CODE.secret) != enrolment.hash_secret(bytes(16))
