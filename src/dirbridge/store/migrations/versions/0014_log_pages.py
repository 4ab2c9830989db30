"""What a page of the provisioning log needs."""

from dirbridge.store.migrations import script

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create it."""
    script.run(__file__)
