"""The master key, what it seals, and the key pairs that sign tokens and checkpoints of the audit log."""
