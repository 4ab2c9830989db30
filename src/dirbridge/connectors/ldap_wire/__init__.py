"""LDAP itself, whatever directory speaks it: connections, TLS, errors, names and settings that its connectors share.

The only folder that knows python-ldap. What a directory does in its own way stands in the folder of its connector.
"""
