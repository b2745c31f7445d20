"""The audit log: records of who did what, chained, signed, exported, verified."""
