"""What the directory is asked by."""

from dirbridge.store.migrations import script

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
