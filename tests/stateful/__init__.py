"""A model of the registry beside the registry: whatever sequence of requests comes, both answer alike."""
