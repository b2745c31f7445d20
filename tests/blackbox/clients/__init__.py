"""Real client programs, each with a home of its own, a time limit and its output in the failure."""
