"""What is remembered: every SQL statement, the migrations and the embedded server."""
