"""How the tables came to be: Alembic's revisions, each a file of plain SQL."""
