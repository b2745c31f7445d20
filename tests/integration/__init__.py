"""Parts joined up with real servers and real installations."""
