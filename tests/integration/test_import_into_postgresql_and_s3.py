"""The same import and export where nothing lies on this machine: rows in PostgreSQL, bytes in an object store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.oci.digest import Digest
from entrepot.oci.names import RepositoryName, TagName
from entrepot.ops.command_stores import open_command_services
from entrepot.transfer.distribution_tree import DistributionTree
from entrepot.transfer.exporting import Exporter, ExportServices
from entrepot.transfer.layout_collection import open_layouts
from entrepot.transfer.layout_tar import TarLayout
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import CONFIG, LAYER, descriptor, image, index
from tests.integration.importing import TreeWriter, import_from

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.services import Services
    from tests.drivers.postgres_server import PostgresServer
    from tests.drivers.s3_server import S3Server

LARGE = bytes(range(256)) * 40_000  # 10 MB: more than one part


@dataclass(frozen=True, slots=True)
class Opened:
    """A registry as a command opens it."""

    services: Services


async def test_a_tree_goes_into_postgresql_and_s3_and_out_again(
    tmp_path: Path, postgres_server: PostgresServer, s3_server: S3Server
) -> None:
    """Files are copied into the bucket whatever --link says; the second time nothing is; out come the same digests."""
    settings = scratch_settings(
        tmp_path / "data",
        metadata__url=postgres_server.create_database(),
        storage__driver="s3",
        storage__s3__endpoint=s3_server.endpoint_url,
        storage__s3__bucket=s3_server.bucket,
        storage__s3__prefix="import/",
        storage__s3__access_key=s3_server.access_key_id,
        storage__s3__secret_key=s3_server.secret_access_key,
    )
    tree = TreeWriter(tmp_path / "tree")
    tree.add_image("app", "v1")
    large = image(layers=[descriptor(LARGE, "application/vnd.oci.image.layer.v1.tar")])
    tree.add_blob("app", LARGE)
    tree.add_manifest("app", large, "large")
    tree.add_manifest("app", index(image(), large), "multi")
    async with open_command_services(settings, make_new=True) as (stores, services):
        first = await import_from(DistributionTree(tree.root), Opened(services), links="always")
        second = await import_from(DistributionTree(tree.root), Opened(services))
        reading = ExportServices(services.manifests, services.blobs, services.referrers, stores.blobs)
        exporter = Exporter(reading, 4, lambda _size, _note: None, referrers=False)
        tags = [TagName(name) for name in ("v1", "large", "multi")]
        await exporter.export(RepositoryName.parse("app"), tags, TarLayout(tmp_path / "out.tar"))

    assert (first.is_complete, first.tags_set, set(first.blobs)) == (True, 3, {"copied"})
    assert first.stored_bytes == len(CONFIG) + len(LAYER) + len(LARGE)
    assert (second.is_complete, second.stored_bytes, second.tags_present) == (True, 0, 3)
    assert (exporter.report.images, exporter.report.problems) == (3, [])
    async with in_process_registry(scratch_settings(tmp_path / "elsewhere")) as other:
        assert (await import_from(await open_layouts(tmp_path / "out.tar", None), other)).is_complete
        blob = await other.client.request("GET", f"/v2/app/blobs/{Digest.of_bytes(LARGE)}")
        multi = await other.client.request("GET", "/v2/app/manifests/multi")
    assert blob.status == 200
    assert multi.body == index(image(), large)
