"""The way back in when nobody can log in."""
