"""Behaviour suites: what every driver of one seam must do."""
