"""People: sign-in, sessions, codes, refresh tokens."""

from dirbridge.store.migrations import script

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
