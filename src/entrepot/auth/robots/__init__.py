"""Robots: accounts of machines, with permissions of their own that never exceed those of who answers for them."""
