"""Stylesheet and scripts of the portal, under addresses that change with their content.

What others wrote is installed by npm into `third_party` when the project is set up or built; without it pages work, and
do not move by themselves.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter, HTTPException
from starlette.responses import Response

from dirbridge.service.auth.rendering import TOKENS

logger = logging.getLogger(__name__)

PATH = "/portal/assets"

_HERE = Path(__file__).parent
_STYLES = _HERE / "assets" / "styles"
_SCRIPTS = _HERE / "assets" / "scripts"
_MODULES = _HERE / "third_party" / "node_modules"
_FIRST = "base.css"
_OTHERS = {
    "htmx.js": _MODULES / "htmx.org" / "dist" / "htmx.min.js",
    "sse.js": _MODULES / "htmx-ext-sse" / "dist" / "sse.min.js",
    "morph.js": _MODULES / "idiomorph" / "dist" / "idiomorph-ext.min.js",
}
_TYPES = {".css": "text/css", ".js": "text/javascript"}


def _read() -> dict[str, bytes]:
    rooms = sorted(file.name for file in _STYLES.glob("*.css") if file.name != _FIRST)
    found = {"portal.css": TOKENS + b"".join((_STYLES / name).read_bytes() for name in (_FIRST, *rooms))}
    for name, file in _OTHERS.items():
        with contextlib.suppress(OSError):
            found[name] = file.read_bytes()
    return found | {file.name: file.read_bytes() for file in sorted(_SCRIPTS.glob("*.js"))}


_CONTENT = _read()


def _address(name: str, content: bytes) -> str:
    stem, _, ending = name.partition(".")
    return f"{PATH}/{stem}-{hashlib.sha256(content).hexdigest()[:16]}.{ending}"


ADDRESSES: Mapping[str, str] = {name: _address(name, content) for name, content in _CONTENT.items()}
"""By name, where each lies; what is not installed is missing."""

LIBRARIES: tuple[str, ...] = tuple(ADDRESSES[name] for name in _OTHERS if name in ADDRESSES)
"""Scripts that others wrote, in the order in which they need one another."""

MODULES: tuple[str, ...] = tuple(ADDRESSES[file.name] for file in sorted(_SCRIPTS.glob("*.js")))
"""Scripts of ours: modules, none of which needs another."""


def tell_what_is_missing() -> None:
    """Say in the log what pages have to do without."""
    missing = [name for name in _OTHERS if name not in ADDRESSES]
    if missing:
        logger.warning(
            "The portal has no %s: pages do not move by themselves. Install npm, then dirbridge anew.",
            ", ".join(missing),
            extra={"event": "portal_scripts_missing"},
        )


_BY_ADDRESS = {address.rpartition("/")[2]: name for name, address in ADDRESSES.items()}

router = APIRouter(include_in_schema=False)


@router.get(PATH + "/{file}")
async def give(file: str) -> Response:
    """Give one; it may be kept for good."""
    name = _BY_ADDRESS.get(file)
    if name is None:
        raise HTTPException(404, f"There is no '{file}'.")
    return Response(
        _CONTENT[name],
        media_type=_TYPES[Path(name).suffix],
        headers={"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"},
    )
