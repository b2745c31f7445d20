"""What pushes do: upload sessions, the publication of blobs, mounts, manifests and tags."""
