"""Synchronization and agents, as Graph shows them."""

from dirbridge.store.migrations import script

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
