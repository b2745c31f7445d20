"""Proving that what is stored is what was pushed, and mending what is not."""
