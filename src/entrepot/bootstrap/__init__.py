"""The composition root: the only package that names concrete drivers. It builds everything and closes it in reverse."""

from entrepot.bootstrap.background import build_background_worker
from entrepot.bootstrap.edges import build_distribution, open_spool
from entrepot.bootstrap.http import Dispatcher, build_http_application, build_http_successor
from entrepot.bootstrap.probes import StoreProbes, build_health_probes
from entrepot.bootstrap.recovery import open_recovery
from entrepot.bootstrap.services import build_process_metrics, build_services, find_mismatch
from entrepot.bootstrap.stores import (
    Stores,
    open_blob_store,
    open_blobs,
    open_existing_stores,
    open_stores,
    prepare_metadata,
    prepare_place,
    s3_options,
)

__all__ = [
    "Dispatcher",
    "StoreProbes",
    "Stores",
    "build_background_worker",
    "build_distribution",
    "build_health_probes",
    "build_http_application",
    "build_http_successor",
    "build_process_metrics",
    "build_services",
    "find_mismatch",
    "open_blob_store",
    "open_blobs",
    "open_existing_stores",
    "open_recovery",
    "open_spool",
    "open_stores",
    "prepare_metadata",
    "prepare_place",
    "s3_options",
]
