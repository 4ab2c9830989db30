"""A directory in memory that behaves as Active Directory does, silences included: the second real source."""
