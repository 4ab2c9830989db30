"""Applications: certificates, and what ends their tokens."""

from dirbridge.store.migrations import script

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
