"""The journal: what was acknowledged, told again in the blob store, so that a database can be made from it."""
