"""The keys of this registry: listed, renewed, changed, wrapped anew."""
