"""Values that are made: random text, GUIDs, the first of several that nobody has. Also what the tenant is called."""

from __future__ import annotations

import string
from collections.abc import Sequence
from uuid import UUID

from dirbridge.contract.errors import EntryError
from dirbridge.engine.functions.environment import Environment
from dirbridge.engine.functions.signature import Complaint, Function, Given, Parameter, constant, whole
from dirbridge.engine.functions.values import Argument, Attributes, Fixed, Result, failed, number, text, whole_number

LONGEST_RANDOM = 256
SPECIAL = "~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/"
"""What Windows counts as special when it judges a password."""

_MINIMA = (
    ("minimumNumbers", string.digits),
    ("minimumSpecialCharacters", SPECIAL),
    ("minimumCapital", string.ascii_uppercase),
    ("minimumLowerCase", string.ascii_lowercase),
)


def _random_string(arguments: Sequence[Argument | None], environment: Environment) -> Argument:
    length, *minima, avoided = (argument or Fixed(None) for argument in arguments)
    chance = environment.random

    def make(at: Attributes) -> Result:
        size = number(length(at), "RandomString")
        least = [number(each(at), "RandomString") for each in minima]
        forbidden = text(avoided(at), "RandomString") or ""
        sets = [[one for one in members if one not in forbidden] for _, members in _MINIMA]
        fault = _unmakeable(size, least, sets)
        if fault:
            raise failed(f"RandomString {fault}.")
        chosen = [chance.choice(members) for members, count in zip(sets, least, strict=True) for _ in range(count)]
        every = [one for members in sets for one in members]
        chosen += [chance.choice(every) for _ in range(size - len(chosen))]
        chance.shuffle(chosen)
        return "".join(chosen)

    return make


def _unmakeable(size: int, least: Sequence[int], sets: Sequence[Sequence[str]]) -> str | None:
    """Say why there is no such text; None where there is."""
    if not 0 < size <= LONGEST_RANDOM:
        return f"makes 1 to {LONGEST_RANDOM} characters and was told to make {size}"
    if min(least) < 0:
        return f"was given the negative minimum {min(least)}"
    if sum(least) > size:
        return f"was told to make {size} characters of which {sum(least)} are bound"
    lacking = [name for (name, _), count, members in zip(_MINIMA, least, sets, strict=True) if count and not members]
    if lacking:
        return f"has no character left for {lacking[0]}"
    return None if any(sets) else "has no character left"


def _check_random(given: Given) -> Complaint | None:
    """Judge a call whose numbers are all constants."""
    written = [constant(given, name) for name in ("length", *(name for name, _ in _MINIMA))]
    numbers = [whole_number(one) for one in written if one is not None]
    known = [one for one in numbers if one is not None]
    if len(known) != len(written):
        return None
    forbidden = constant(given, "charactersToAvoid") or ""
    fault = _unmakeable(
        known[0], known[1:], ["".join(one for one in members if one not in forbidden) for _, members in _MINIMA]
    )
    return Complaint(f"RandomString {fault}.", "Correct its numbers.", "length") if fault else None


def _guid(_arguments: Sequence[Argument | None], environment: Environment) -> Argument:
    chance = environment.random
    return lambda _at: str(UUID(int=chance.getrandbits(128), version=4))


def _default_domain(_arguments: Sequence[Argument | None], environment: Environment) -> Argument:
    return Fixed(environment.default_domain)


def _select_unique(arguments: Sequence[Argument | None], environment: Environment) -> Argument:
    """Try rule after rule, asking the target; a rule that gives nothing is passed over."""
    rules = [argument for argument in arguments if argument is not None]
    is_free = environment.is_free

    def choose(at: Attributes) -> Result:
        if is_free is None:
            raise failed("SelectUniqueValue has no target to ask.", "Use it where the target can be asked.")
        tried = []
        for rule in rules:
            value = text(rule(at), "SelectUniqueValue")
            if value and value not in tried:
                if is_free(value):
                    return value
                tried.append(value)
        raise EntryError(
            f"All {len(tried)} values that SelectUniqueValue tried are taken, the last one '{tried[-1]:.100}'."
            if tried
            else "None of the rules of SelectUniqueValue gives a value.",
            code="NoUniqueValue",
            recommended_action="Add a rule to the mapping, or free one of the values.",
        )

    return choose


def _check_select(given: Given) -> Complaint | None:
    count = len(given.get("uniqueValueRule", ()))
    if count < 2:
        return Complaint(f"SelectUniqueValue chooses between two rules or more and has {count}.", "Add a rule.")
    return None


FUNCTIONS = (
    Function(
        "RandomString",
        (
            whole("length"),
            *(whole(name) for name, _ in _MINIMA),
            Parameter("charactersToAvoid", required=False),
        ),
        "A random text of that length, at most 256, with at least so many digits, special characters, capitals and "
        "small letters. For attributes that flow only during creation.",
        "RandomString(8, 2, 0, 2, 2)",
        bind=_random_string,
        check=_check_random,
        pure=False,
    ),
    Function(
        "Guid",
        (),
        "A new random GUID in small letters. For attributes that flow only during creation.",
        "Guid()",
        bind=_guid,
        pure=False,
    ),
    Function(
        "SelectUniqueValue",
        (Parameter("uniqueValueRule", repeats=True),),
        "The first of its values that no object of the target has. Only outermost, only for attributes that flow "
        "during creation, and only for targets that can be asked; the tenant directory is none.",
        'SelectUniqueValue([mailNickname], Append([mailNickname], "1"))',
        bind=_select_unique,
        check=_check_select,
        pure=False,
    ),
    Function(
        "DefaultDomain",
        (),
        "The tenant's default domain.",
        'Join("@", [sAMAccountName], DefaultDomain())',
        bind=_default_domain,
    ),
)
