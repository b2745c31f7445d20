"""The audit log on the host: shown, exported, verified, purged, erased from."""
