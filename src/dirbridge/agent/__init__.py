"""The loop beside the directory: takes requests, reads, answers with pages, keeps no state."""
