"""Telling people what became of their jobs: by mail and by webhook.

What is to be told lies in the outbox (`store.notifications`), put there in the transaction in which it happened. In the
worker, `delivery` takes it from there: `recipients` says to whom, `wording` in which words, `mail` and `webhook` send.
"""
