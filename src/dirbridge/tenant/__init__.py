"""The tenant directory: a target and a source on the store, with its own rules."""
