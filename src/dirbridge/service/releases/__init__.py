"""Releases of the agent on the service's side: taken from an administrator, handed to agents, never signed here."""
