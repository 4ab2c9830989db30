"""The command; each subcommand imports its side of the house when it is used."""
