"""Scope, references across jobs, failures, notifications, the service account, previews."""

from dirbridge.store.migrations import script

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    script.run(__file__)
