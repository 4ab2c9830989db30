"""Exports that were begun and whose outcome is not known."""

from dirbridge.store.migrations import script

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
