"""The `/v2/` data plane (OCI distribution-spec 1.1): a hand-written ASGI application without a framework."""
