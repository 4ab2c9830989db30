"""What failed of one job is found by an index."""

from dirbridge.store.migrations import script

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    script.run(__file__)
