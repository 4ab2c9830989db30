"""Active Directory, read by DirSync over TLS."""

KIND = "active-directory"
