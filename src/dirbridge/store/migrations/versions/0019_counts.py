"""Counts that are kept, so that nobody has to count everything."""

from dirbridge.store.migrations import script

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create it."""
    script.run(__file__)
