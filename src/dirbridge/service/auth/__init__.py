"""Who may do what: keys and certificates, OAuth 2 tokens, secrets and passwords, and the check at every route."""
