"""A defect of a schema document, and how several are told."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import msgspec

from dirbridge.contract.errors import ConfigurationError
from dirbridge.engine.expressions.faults import near

CODE = "InvalidSchema"

MOST = 200
"""Defects that are looked for and told: a document that has more is damaged as a whole, and each costs time."""


class Defect(msgspec.Struct, frozen=True):
    """One defect.

    Attributes:
        path: its place in the document, such as `synchronizationRules[0].objectMappings[1].scope`.
        what: a sentence that names the value met and what is expected.
        remedy: what to do.
    """

    path: str
    what: str
    remedy: str


Defects = Iterator[Defect]


def error(defects: Sequence[Defect]) -> ConfigurationError:
    """Put defects into one error: the first one is its reason, its details hold them all by path."""
    first, *others = defects
    more = f" There {'is' if len(others) == 1 else 'are'} {len(others)} more." if others else ""
    details: dict[str, str] = {}
    for defect in defects:
        told = f"{defect.what} {defect.remedy}"
        details[defect.path] = f"{details[defect.path]} {told}" if defect.path in details else told
    return ConfigurationError(
        f"{first.path}: {first.what}", code=CODE, recommended_action=f"{first.remedy}{more}", details=details
    )


def unknown(path: str, what: str, name: str, known: Collection[str]) -> Defect:
    """A name that nothing has; names of the same look are offered."""
    alike = near(name, known)
    if alike:
        remedy = f"Did you mean {alike}? Names are case-sensitive."
    elif len(known) <= 10:
        remedy = f"Use one of {', '.join(sorted(known))}." if known else "There is none."
    else:
        remedy = "Correct the name; 'directories' lists what there is."
    return Defect(path, f"{what} '{name}'.", remedy)


def repeated(names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Find names that came before: the place of each, and that of the first."""
    first: dict[str, int] = {}
    for at, name in enumerate(names):
        if name in first:
            yield at, first[name]
        first.setdefault(name, at)
