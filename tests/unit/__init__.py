"""Tests without sockets, servers or processes, laid out as the source tree is."""
