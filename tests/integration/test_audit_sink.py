"""Pulls go on when the volume of the audit log's spool is full or read-only (F5, F9, I10), and are recorded after it.

The volumes are real and small, and mounting them needs root. They fail in process; `tests/faults/machine` does the same
to the running product.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from entrepot.audit.frames import read_frames
from entrepot.audit.segments import segment_paths
from entrepot.audit.spool import AuditSpool, SpoolBuffer
from entrepot.audit.spool_writer import SpoolLimits
from entrepot.distribution_api.admission import Admission, AdmissionLimits
from entrepot.distribution_api.application import DistributionApplication
from entrepot.distribution_api.audit import EdgeAudit
from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.kernel.address_budget import AddressBudget
from entrepot.oci.digest import Digest
from tests.asgi.client import AsgiClient
from tests.asgi.services import in_process_registry, scratch_settings
from tests.faults.image import REPOSITORY, TAG, one_layer_image
from tests.faults.machine.volumes import Filler, memory_volume, remount
from tests.faults.pushing import AcknowledgementLog, push_image

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_IMAGE = one_layer_image(1)
_MANIFEST = f"/v2/{REPOSITORY}/manifests/{TAG}"
_LAYER = f"/v2/{REPOSITORY}/blobs/{Digest.of_bytes(_IMAGE.layer)}"


@dataclass
class _Sink:
    """A registry with an image, and a spool on a volume of its own or on that of everything."""

    client: AsgiClient
    spool: AuditSpool
    directory: Path

    async def get(self, target: str = _MANIFEST) -> int:
        return (await self.client.request("GET", target)).status

    def noted(self) -> list[str]:
        return [
            record.action
            for path in segment_paths(self.directory)
            for record in read_frames(path.read_bytes()).records
        ]

    async def until_none_waits(self) -> None:
        async with asyncio.timeout(60):
            while self.spool.waiting:  # noqa: ASYNC110  # the spool has no event for that
                await asyncio.sleep(0.005)


@asynccontextmanager
async def _open(scratch: Path, data: Path, spool_directory: Path, records: int) -> AsyncIterator[_Sink]:
    async with in_process_registry(scratch_settings(data)) as registry:
        services = registry.services
        spool = AuditSpool(
            spool_directory,
            "none",
            services.metrics.audit_spool_failures.inc,
            buffer=SpoolBuffer(
                records, services.metrics.audit_buffered.inc, services.metrics.audit_buffer_records.set
            ),
            limits=SpoolLimits(retry_seconds=0.02),
        )
        application = DistributionApplication(
            services,
            Admission(AdmissionLimits(100, 100, 100, 1.0), AddressBudget(100)),
            PaceLimits(0, 30, 60),
            audit=EdgeAudit(spool, services.project_numbers),
        )
        client = AsgiClient(application)
        await push_image(client, _IMAGE, AcknowledgementLog.open(scratch / "acknowledged"))
        yield _Sink(client, spool, spool_directory)
        await spool.aclose()


async def test_f5_pulls_go_on_while_the_data_directory_is_full_to_the_last_byte_i10_i11(
    tmp_path: Path,
) -> None:
    """Database, blobs and spool on one volume; only the buffer's bound stops pulls, and room ends that."""
    volume = tmp_path / "volume"
    with memory_volume(volume, "size=16m"):
        async with _open(tmp_path, volume / "data", volume / "data" / "audit" / "spool", 5) as sink:
            assert await sink.get() == 200
            filler = Filler(volume)
            filler.fill()

            statuses = [await sink.get(target) for target in (_MANIFEST, _LAYER)]
            while len(statuses) < 100 and 503 not in statuses:
                statuses.append(await sink.get())
            assert statuses[:-1] == [200] * (len(statuses) - 1)
            assert (statuses[-1], sink.spool.waiting) == (503, 5)

            filler.empty()
            assert await sink.get() == 200
            await sink.until_none_waits()

            assert sink.noted() == ["manifest.pull", "manifest.pull", "blob.pull"] + ["manifest.pull"] * (
                len(statuses) - 2
            )


async def test_f9_pulls_are_answered_by_a_process_that_starts_where_no_spool_can_be_made_i10(
    tmp_path: Path,
) -> None:
    """The volume is read-only before the first note; remounted, it has all of them without another one."""
    volume = tmp_path / "volume"
    with memory_volume(volume, "size=1m"):
        remount(volume, "ro")
        async with _open(tmp_path, tmp_path / "data", volume / "audit" / "spool", 100) as sink:
            assert [await sink.get(), await sink.get(_LAYER)] == [200, 200]
            assert (sink.spool.waiting, (volume / "audit").exists()) == (2, False)

            remount(volume, "rw")
            await sink.until_none_waits()

            assert sink.noted() == ["manifest.pull", "blob.pull"]


@pytest.mark.parametrize("records", [0, 1])
async def test_f9_whoever_may_lose_nothing_sets_no_buffer_and_pulls_are_refused_i11(
    tmp_path: Path, records: int
) -> None:
    volume = tmp_path / "volume"
    with memory_volume(volume, "size=1m"):
        remount(volume, "ro")
        async with _open(tmp_path, tmp_path / "data", volume / "spool", records) as sink:
            assert [await sink.get(), await sink.get()] == [[503, 503], [200, 503]][records]
            assert (await sink.client.request("HEAD", _MANIFEST)).status == 200
