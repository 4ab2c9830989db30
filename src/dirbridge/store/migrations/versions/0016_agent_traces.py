"""Traces that are wanted of agents."""

from dirbridge.store.migrations import script

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create it."""
    script.run(__file__)
