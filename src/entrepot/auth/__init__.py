"""Who asks and what they may do: principals, and grants that services require."""
