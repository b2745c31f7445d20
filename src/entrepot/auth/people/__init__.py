"""People and groups on this registry's own lists: passwords, lock-out, browser sessions, the first administrator."""
