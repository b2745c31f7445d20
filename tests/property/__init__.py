"""Properties that hold for all inputs, tried on generated ones."""
