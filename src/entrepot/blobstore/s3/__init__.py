"""A blob store in a bucket: multipart uploads that any process can continue, fenced keys instead of locks."""

from entrepot.blobstore.s3.options import S3Options
from entrepot.blobstore.s3.store import S3BlobStore

__all__ = ["S3BlobStore", "S3Options"]
