"""Rules about the source itself: import direction, sizes, habits."""
