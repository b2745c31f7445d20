"""Starts the registry the way a user starts it, for tests that look at it from outside."""
