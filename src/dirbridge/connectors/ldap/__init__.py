"""OpenLDAP, 389 Directory Server and their kind, read by syncrepl (RFC 4533) over LDAPS.

The walk begins in `source`; `directory` asks the server, `syncrepl` codes its controls, `entries` reads its answers.
"""

KIND = "ldap"
