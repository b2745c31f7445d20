"""The token service at `/service/token`: clients come here with credentials and leave with a bearer token."""
