"""What every revision does: run the file of SQL that lies beside it."""

from pathlib import Path

from alembic import op
from psycopg import Connection


def run(revision: str) -> None:
    """Execute the statements of `<revision>.sql`, given as the revision's own `__file__`."""
    statements = Path(revision).with_suffix(".sql").read_text(encoding="utf-8")
    driver = op.get_bind().connection.driver_connection
    assert isinstance(driver, Connection)
    # Straight to the driver: no parameters, so several statements may stand in one text, and % is a percent sign.
    driver.execute(statements.encode())
