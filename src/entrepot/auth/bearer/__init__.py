"""Bearer tokens and refresh tokens: what the token service hands out, and how it is checked again."""
