"""The settings of the scheduled verification."""

from __future__ import annotations

from typing import Annotated

from entrepot.settings.section import Section, Setting

__all__ = ["VerifySettings"]

_MIB = 1024 * 1024
_DAY_SECONDS = 86400


class VerifySettings(Section, frozen=True):
    """How the background worker proves that what is stored is what was pushed."""

    period_seconds: Annotated[
        int,
        Setting(
            "Pause between two verifications of everything that is stored; 0 turns them off.",
            "604800 (7 days): damage is found while a backup of last week still has the bytes.",
            reloadable=True,
            minimum=0,
            maximum=366 * _DAY_SECONDS,
        ),
    ] = 7 * _DAY_SECONDS
    rate_bytes_per_second: Annotated[
        int,
        Setting(
            "How fast it reads, at most; 0: without limit.",
            "20MiB: a tenth of one plain disk, and 12 TB within the 7 days.",
            reloadable=True,
            minimum=0,
        ),
    ] = 20 * _MIB
    quarantine: Annotated[
        bool,
        Setting(
            "Set damaged blobs and manifests aside: 404 instead of damaged bytes, and a push of the same image heals.",
            "true: it can be undone, stops where much is damaged at once, and never happens for a mere read error.",
            reloadable=True,
        ),
    ] = True
    heal_from: Annotated[
        str,
        Setting(
            "Another blob store of Entrepot to take sound bytes from: file:///path or s3://bucket/prefix.",
            "Empty: there is none to be known. A bucket is reached with the endpoint and key of storage.s3.",
            reloadable=True,
        ),
    ] = ""
