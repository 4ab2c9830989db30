"""The first tables."""

from dirbridge.store.migrations import script

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
