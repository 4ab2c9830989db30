"""`dirbridge admin`: who and what administers the tenant."""

from __future__ import annotations

import click

from dirbridge.cli.admin_app import app
from dirbridge.cli.admin_keys import keys
from dirbridge.cli.admin_user import user


@click.group()
def admin() -> None:
    """Manage administrators, applications and signing keys."""


admin.add_command(user)
admin.add_command(keys)
admin.add_command(app)
