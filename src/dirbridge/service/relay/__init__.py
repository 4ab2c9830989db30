"""Between cycles and agents: the door that agents knock at, and the source that cycles read."""
