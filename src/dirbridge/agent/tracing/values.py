"""What was read, entry by entry, for a trace that was asked for with the values of attributes."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable

from dirbridge.agent.tracing import VALUES
from dirbridge.contract.entry import ChangePage, Value

logger = logging.getLogger(VALUES)

MOST, LONGEST = 100, 1000
"""Values of one attribute, and characters of one value, that a line shows."""


def tell(domain: str, page: ChangePage) -> None:
    """Write a line for each entry, group's change and tombstone of a page, where somebody asked for it."""
    if not logger.isEnabledFor(logging.DEBUG):
        return
    for entry in page.entries:
        shown = {name: _shown(values) for name, values in entry.attributes.items()}
        extra = {"event": "entry_read", "anchor": entry.anchor, "attributes": shown, "references": entry.references}
        logger.debug("Read %s %s of %s.", entry.object_type, entry.name, domain, extra=extra)
    for delta in page.references:
        extra = {"event": "reference_read", "anchor": delta.owner, "attribute": delta.attribute}
        extra |= {"added": delta.added[:MOST], "removed": delta.removed[:MOST]}
        logger.debug(
            "Read %d changes of a reference in %s.", len(delta.added) + len(delta.removed), domain, extra=extra
        )
    for tombstone in page.deleted:
        extra = {"event": "tombstone_read", "anchor": tombstone.anchor}
        logger.debug("Read that %s of %s was deleted.", tombstone.name, domain, extra=extra)


def _shown(values: Iterable[Value]) -> list[str]:
    texts = [base64.b64encode(value).decode() if isinstance(value, bytes) else value for value in values]
    shown = [text if len(text) <= LONGEST else f"{text[:LONGEST]}…" for text in texts[:MOST]]
    return shown if len(texts) <= MOST else [*shown, f"… {len(texts):,} values"]
