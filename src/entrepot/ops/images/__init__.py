"""Images in from other registries and archives, and out to them."""
