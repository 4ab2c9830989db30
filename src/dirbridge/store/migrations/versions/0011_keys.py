"""Applications' owners, and signing keys that come and go."""

from dirbridge.store.migrations import script

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
