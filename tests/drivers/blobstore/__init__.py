"""The behaviour suite of the blob stores."""
