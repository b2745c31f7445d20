"""The registry as its clients see it: real programs and plain HTTP, on every kind of database and store."""
