"""What travels between the rooms: entries, changes, schema, exports, events, wire messages and errors."""
