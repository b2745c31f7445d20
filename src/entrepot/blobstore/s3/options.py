"""What the S3 driver needs to know about its bucket."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["S3Options"]


@dataclass(frozen=True, slots=True)
class S3Options:
    """Where the bucket is and how patiently it is spoken to.

    Attributes:
        bucket: its name; it exists.
        endpoint_url: empty for Amazon's own of the region.
        region: what requests are signed for.
        access_key_id: empty for the usual search (environment, shared files, instance role).
        secret_access_key: belongs to `access_key_id`.
        path_style: address the bucket in the path rather than in the host name.
        prefix: put before every key; empty, or ends with a slash.
        part_bytes: size of the first parts of a multipart upload, at least 5 MiB.
        connect_timeout_seconds: for one connection.
        read_timeout_seconds: longest silence of the store within a reply.
        call_timeout_seconds: for one call with all its repetitions, moving of bytes apart.
        slowest_bytes_per_second: what a call that sends bytes is given time for on top.
        attempt_count: how often a call is tried; between them the SDK backs off (F20).
        connection_count: connections kept, at most.
    """

    bucket: str
    endpoint_url: str = ""
    region: str = "us-east-1"
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    path_style: bool = True
    prefix: str = ""
    part_bytes: int = 8 * 1024 * 1024
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 20.0
    call_timeout_seconds: float = 60.0
    slowest_bytes_per_second: int = 128 * 1024
    attempt_count: int = 4
    connection_count: int = 64
