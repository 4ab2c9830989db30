"""Signing people in with a browser: password, second factor, outside providers, and their own account."""
