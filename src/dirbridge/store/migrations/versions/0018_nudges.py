"""Directories that say when something changed."""

from dirbridge.store.migrations import script

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create it."""
    script.run(__file__)
