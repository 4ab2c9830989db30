"""A directory that is made up as it is read: as large as wanted, always the same, without a server.

For measuring and testing everything that stands behind a source. Administrators have no use for it.
"""

KIND = "generated"
