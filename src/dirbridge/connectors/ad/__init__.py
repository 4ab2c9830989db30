"""Active Directory, read by DirSync over LDAPS."""

KIND = "active-directory"
