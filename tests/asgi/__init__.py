"""Driving an ASGI application inside the test's own process."""
