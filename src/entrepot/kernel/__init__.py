"""The handful of tiny things every other package may lean on."""
