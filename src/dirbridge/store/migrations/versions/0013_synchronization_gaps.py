"""What is kept for templates that were changed."""

from dirbridge.store.migrations import script

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
