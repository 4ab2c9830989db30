"""The cloud side: API, identity, the agents' door, workers and the portal, wired in one place."""
