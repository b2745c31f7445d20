"""The heart: pulling and pushing manifests and blobs, whatever the protocol around it."""
