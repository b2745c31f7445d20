"""The token service (`/service/token`): tokens for a name and a secret, and the keys to verify them with."""
