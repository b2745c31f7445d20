"""Speaks to a running registry as a client. Imported only when one is the source: it loads the HTTP library."""
