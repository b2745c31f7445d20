"""What the registry knows about its bytes: records, the protocols to read and change them, and their SQL."""
