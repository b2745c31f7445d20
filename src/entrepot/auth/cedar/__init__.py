"""Cedar: the schema, the policies made of the built-in roles, and the engine that asks them. Only decisions use it."""
