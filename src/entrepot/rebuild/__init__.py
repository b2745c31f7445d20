"""The database again, from what lies in the blob store alone."""
