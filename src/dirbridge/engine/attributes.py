"""Source attributes that the engine knows by name."""

EXPIRES = "accountExpires"
"""When an account expires."""

EXPIRED = "accountExpired"
"""Made by the engine: whether `accountExpires` has passed."""

PRIMARY_GROUP = "primaryGroup"
"""Short reference of a user to its primary group: a membership that the group does not list."""

PRIMARY_MEMBER = "primaryMember"
"""The same seen from the group: written to the target like a member."""

MEMBER = "member"
"""The only reference that travels apart from its entry, as it may have any number of values."""

DISTINGUISHED_NAME = "distinguishedName"
"""Compared by whole components, without regard to case."""
