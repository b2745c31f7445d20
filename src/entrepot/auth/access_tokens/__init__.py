"""Access tokens: what people give to programs in place of their password, weaker than themselves where they say so."""
