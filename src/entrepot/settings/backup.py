"""The settings of backups: where they go, and what they are sealed with."""

from __future__ import annotations

from typing import Annotated

from entrepot.settings.secret import Secret
from entrepot.settings.section import Section, Setting

__all__ = ["BackupS3Settings", "BackupSettings"]


class BackupS3Settings(Section, frozen=True):
    """The object store of backups; that of the registry is never assumed, so that one key can't lose both."""

    endpoint: Annotated[
        str,
        Setting("http(s):// address of the object store for backups.", "Empty: Amazon's own for the region."),
    ] = ""
    region: Annotated[
        str,
        Setting("Region that requests are signed for.", "us-east-1: what stores without regions expect."),
    ] = "us-east-1"
    access_key: Annotated[
        str,
        Setting("Access key id.", "Empty: credentials are found the way the AWS tools find them."),
    ] = ""
    secret_key: Annotated[
        Secret,
        Setting("Secret access key of backup.s3.access_key.", "Empty: see backup.s3.access_key."),
    ] = Secret()
    path_style: Annotated[
        bool,
        Setting(
            "Put the bucket in the path rather than in the host name.",
            "true: SeaweedFS, Ceph and others work without wildcard DNS; Amazon accepts it too.",
        ),
    ] = True


class BackupSettings(Section, frozen=True):
    """What `entrepot backup` works with when its options do not say."""

    target: Annotated[
        str,
        Setting(
            "Where backups go: an absolute path (or file:///path), or s3://bucket/prefix.",
            "Empty: each command is told, so that nothing is written to a place nobody chose.",
        ),
    ] = ""
    passphrase: Annotated[
        Secret,
        Setting(
            "Seals backups; a repository that is begun with one can only be read with it.",
            "Empty: backups are not encrypted. Keep it where a fire that takes the registry does not reach.",
        ),
    ] = Secret()
    s3: BackupS3Settings = BackupS3Settings()
