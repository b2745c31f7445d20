"""Backups: snapshots of the whole registry in a store of their own, checked, incremental, encrypted by choice."""
