"""Applications: their registrations, who owns them, and the one that stands for Graph."""
