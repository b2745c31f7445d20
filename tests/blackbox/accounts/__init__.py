"""The registry with accounts on, as strangers' programs see it."""
