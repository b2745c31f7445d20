"""The metadata database, made again from what is stored."""
