"""The command-line client of the management API; it shares no code with the registry."""
