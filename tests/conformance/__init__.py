"""The OCI distribution specification as test cases, run against a registry that was started as a user starts it."""
