"""How agents are."""

from dirbridge.store.migrations import script

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create it."""
    script.run(__file__)
