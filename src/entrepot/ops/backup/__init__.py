"""Backups: made, listed, verified, pruned, restored."""
