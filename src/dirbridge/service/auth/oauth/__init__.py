"""OAuth 2 and OpenID Connect: who asks for tokens, by which grant, and what is given."""
