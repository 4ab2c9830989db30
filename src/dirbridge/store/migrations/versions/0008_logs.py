"""What the logs are asked by."""

from dirbridge.store.migrations import script

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
