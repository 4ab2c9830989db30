"""Is a schema document sound? All its defects at once, each with its place and its remedy.

The API asks before it keeps a document, and a preview before it uses one; `plan` asks where it cannot compile. Pure:
it knows the document and what the job's two ends can do, nothing else.

Source: Graph synchronizationSchema and its parts; published limits of scoping filters.
"""

from __future__ import annotations

from dirbridge.engine.validation.defects import CODE, Defect, error
from dirbridge.engine.validation.document import check, uneditable
from dirbridge.engine.validation.structure import read

__all__ = ["CODE", "Defect", "check", "error", "read", "uneditable"]
