"""The settings of the audit log."""

from __future__ import annotations

from typing import Annotated, Literal

from entrepot.settings.section import Section, Setting

__all__ = ["AuditSettings"]


class AuditSettings(Section, frozen=True):
    """The record of who did what. It can't be switched off."""

    retention_days: Annotated[
        int,
        Setting(
            "For how many days records are kept before they can be purged.",
            "180: the least that China's Cybersecurity Law asks for; less can't be set.",
            reloadable=True,
            minimum=180,
            maximum=36500,
        ),
    ] = 180
    spool_flush: Annotated[
        Literal["none", "group"],
        Setting(
            "Whether records of pulls and refusals are flushed to the disk, many at a time, before the reply.",
            "none: they survive the death of a process as they are; group survives a power cut and costs time.",
        ),
    ] = "none"
    buffer_records: Annotated[
        int,
        Setting(
            "How many of these records wait in the memory of each process while the data directory takes none.",
            "10000: about 15 MiB; pulls go on for that many. kill -9 then loses what waits: 0, which refuses at once, "
            "for who may not lose any.",
            minimum=0,
            maximum=1000000,
        ),
    ] = 10000
    checkpoint_seconds: Annotated[
        int,
        Setting(
            "How often the end of the chain is signed, when it has grown.",
            "300: at most five minutes of records have only the chain to prove them.",
            reloadable=True,
            minimum=1,
            maximum=86400,
        ),
    ] = 300
