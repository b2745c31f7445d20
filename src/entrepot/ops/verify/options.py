"""The options of `entrepot verify`."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from cyclopts import Parameter

__all__ = [
    "DryRunOption",
    "FastOption",
    "ForceOption",
    "HealOption",
    "LastOption",
    "ParallelOption",
    "RateOption",
    "RepairOption",
    "RepositoryOption",
    "ResumeOption",
]

RepairOption: TypeAlias = Annotated[
    bool,
    Parameter(
        name="--repair",
        negative="",
        help="Heal what is damaged, from its other copy or from --heal-from, and set aside what can't be healed.",
    ),
]
DryRunOption: TypeAlias = Annotated[
    bool,
    Parameter(name="--dry-run", negative="", help="With --repair: say what would be done, and do nothing."),
]
ResumeOption: TypeAlias = Annotated[
    bool,
    Parameter(
        name="--resume",
        negative="",
        help="Go on with the verification that was interrupted, with its --fast and --repository.",
    ),
]
LastOption: TypeAlias = Annotated[
    bool,
    Parameter(
        name="--last",
        negative="",
        help="Examine nothing; show what the last scheduled verification found so far.",
    ),
]
FastOption: TypeAlias = Annotated[
    bool,
    Parameter(
        name="--fast", negative="", help="Look whether blobs are there and as long as pushed; read none."
    ),
]
RepositoryOption: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(
        name="--repository",
        negative="",
        help="Only what this repository links to and holds; may be given several times.",
    ),
]
ParallelOption: TypeAlias = Annotated[
    int, Parameter(name="--parallel", help="How many blobs are read at once, 1 to 64.")
]
RateOption: TypeAlias = Annotated[
    str, Parameter(name="--rate", help="Bytes read a second, at most, as 100MiB; 0 is without limit.")
]
HealOption: TypeAlias = Annotated[
    tuple[str, ...],
    Parameter(
        name="--heal-from",
        negative="",
        help="Where sound bytes are: another blob store, file:///path or s3://bucket/prefix (with the endpoint and key "
        "of storage.s3); or a backup, backup or backup:PATH. May be given several times. Default: verify.heal_from.",
    ),
]
ForceOption: TypeAlias = Annotated[
    bool,
    Parameter(
        name="--force",
        negative="",
        help="Repair even if so much is damaged that the wrong volume may be mounted.",
    ),
]
