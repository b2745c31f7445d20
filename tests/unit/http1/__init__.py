"""Tests of the HTTP server in small."""
