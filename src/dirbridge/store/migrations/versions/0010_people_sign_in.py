"""What sign-in leaves behind: sessions, guesses, codes, grants and refresh tokens."""

from dirbridge.store.migrations import script

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
