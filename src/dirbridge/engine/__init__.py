"""Deciding what becomes of a change, one file a step, each named as the log names it."""
