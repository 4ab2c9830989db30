"""Outside systems, one folder each, all with the same faces."""
