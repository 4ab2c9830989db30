"""Releases of the agent, and who is to have which."""

from dirbridge.store.migrations import script

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create it."""
    script.run(__file__)
