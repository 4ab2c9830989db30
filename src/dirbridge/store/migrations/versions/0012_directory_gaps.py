"""What is kept for the directory's part of the API."""

from dirbridge.store.migrations import script

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
