"""What the logs are filtered by."""

from dirbridge.store.migrations import script

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
