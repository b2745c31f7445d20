"""Where bytes lie: one small driver protocol, its key layout, and the drivers."""
