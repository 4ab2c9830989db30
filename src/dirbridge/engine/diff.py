"""What the target still lacks: the last pure step before an export."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dirbridge.contract.event import ModifiedProperty
from dirbridge.contract.export import TargetValue
from dirbridge.engine import redaction
from dirbridge.engine.mapping import Mapped
from dirbridge.engine.plan import Flow, ObjectRule

LONGEST = 1024
"""Characters of a value that the log keeps."""


def compare(rule: ObjectRule, wanted: Mapped, present: Mapping[str, TargetValue]) -> dict[str, TargetValue]:
    """Say what an existing target object still lacks.

    Args:
        present: what the target has now, by target attribute.

    Returns:
        Only what changes, and what flows in any case; None clears. Several values compare as sets, text by the
        attribute's case rule. An attribute whose source is unknown, or that flows only on creation, is left out.

    Source: Graph attributeMapping.flowType and flowBehavior; attributeDefinition.caseExact.
    """
    changes: dict[str, TargetValue] = {}
    for name in rule.targets:
        if name in wanted.held or name in wanted.on_create:
            continue
        value, old = wanted.values.get(name), present.get(name)
        flow = rule.flows.get(name)
        if flow is not None:
            value = _after(flow, value, old)
            if flow.always and flow.kind == "Always" and value is not None:
                changes[name] = value
        if value != old and not _same_set(value, old):
            changes[name] = value
    return changes


def _after(flow: Flow, value: TargetValue, old: TargetValue) -> TargetValue:
    """Say what an attribute is to have that has a value already, or none."""
    if flow.folded and _folded(value) == _folded(old):
        return old
    match flow.kind:
        case "AttributeAddOnly":
            return value if old is None else old
        case "ValueAddOnly" | "MultiValueAddOnly":
            return old if value is None else _joined(flow, value, old)
        case _:
            return value


def _joined(flow: Flow, value: TargetValue, old: TargetValue) -> TargetValue:
    """Several values are added to those that are there; a single one takes the old one's place."""
    if not isinstance(value, tuple) or not isinstance(old, tuple):
        return value
    had = {_fold(item) for item in old} if flow.folded else set(old)
    new = [item for item in value if (_fold(item) if flow.folded else item) not in had]
    return tuple(sorted((*old, *new))) if new else old


def _fold(value: object) -> object:
    return value.casefold() if isinstance(value, str) else value


def _folded(value: TargetValue) -> object:
    return frozenset(map(_fold, value)) if isinstance(value, tuple) else _fold(value)


def _same_set(one: TargetValue, other: TargetValue) -> bool:
    return isinstance(one, tuple) and isinstance(other, tuple) and set(one) == set(other)


def modified(
    changes: Mapping[str, TargetValue], present: Mapping[str, TargetValue], redacted: Collection[str] = ()
) -> tuple[ModifiedProperty, ...]:
    """Put changes into the log's form, old value and new, without the values of redacted attributes."""
    return tuple(
        ModifiedProperty(
            name,
            redaction.value(name, shown(present.get(name)), redacted),
            redaction.value(name, shown(value), redacted),
        )
        for name, value in sorted(changes.items())
    )


def shown(value: TargetValue) -> str | None:
    """Write a value for people; long ones are cut with their length said."""
    if value is None or (type(value) is str and len(value) <= LONGEST):
        return value
    if isinstance(value, tuple):
        text = "; ".join(shown(item) or "" for item in value)
    elif isinstance(value, bytes):
        text = value.hex() if len(value) <= 64 else f"{value[:64].hex()}…"
        return text if len(value) <= 64 else f"{text} ({len(value)} bytes)"
    else:
        text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
