"""What pulls read: manifests, blobs, lists of tags, repositories and referrers."""
