"""Measures Entrepot beside Debian's docker-registry and nginx on this machine: `make bench`."""
