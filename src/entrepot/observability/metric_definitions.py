"""The list of all metrics, from which they are both made and documented, so that the two agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["METRIC_DEFINITIONS", "MetricDefinition"]

_PULL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PUSH_BUCKETS = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
)


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """One metric. ``gauge_mode`` says how the values of several processes become one."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    gauge_mode: Literal["", "livesum", "livemax", "mostrecent"] = ""


METRIC_DEFINITIONS: tuple[MetricDefinition, ...] = (
    MetricDefinition(
        "registry_pull_duration_seconds",
        "histogram",
        "Time to first byte of a pull: from the head of a GET to the head of its answer. "
        "Operation: manifest or blob.",
        labels=("operation",),
        buckets=_PULL_BUCKETS,
    ),
    MetricDefinition(
        "registry_push_duration_seconds",
        "histogram",
        "Time of a push request that was accepted, from its head to its answer, the body included. "
        "Operation: manifest or blob (each request that brings bytes or finishes an upload).",
        labels=("operation",),
        buckets=_PUSH_BUCKETS,
    ),
    MetricDefinition(
        "registry_requests_total",
        "counter",
        "Requests answered, by operation (a name of a route, never of a repository) and HTTP status.",
        labels=("operation", "status"),
    ),
    MetricDefinition(
        "registry_responses_aborted_total",
        "counter",
        "Answers broken off after they had begun: the client went away, or the bytes could not be read.",
    ),
    MetricDefinition(
        "registry_damaged_content_total",
        "counter",
        "Pulls refused or broken off because what is stored is not what was pushed: fewer bytes, more, other ones or "
        "none. Any increase is an alarm.",
    ),
    MetricDefinition(
        "registry_store_failures_total",
        "counter",
        "Requests that failed (5xx, or an answer broken off) because a store could not do its part. Store: blobs or "
        "metadata. Reason: full, suspect (an fsync failed; blobs only) or unavailable (everything else).",
        labels=("store", "reason"),
    ),
    MetricDefinition(
        "registry_storage_suspect",
        "gauge",
        "1 since an fsync of a blob failed: pushes of bytes are refused until the registry is started anew. An alarm: "
        "examine the disk first. Not reported for an object store.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_uploads_in_progress",
        "gauge",
        "Requests that are writing the bytes of a blob right now, on this node.",
        gauge_mode="livesum",
    ),
    MetricDefinition(
        "registry_bodies_in_progress",
        "gauge",
        "Requests whose body is being read or stored right now, on this node: places taken of limits.bodies.",
        gauge_mode="livesum",
    ),
    MetricDefinition(
        "registry_requests_refused_total",
        "counter",
        "Requests refused for the sake of others. Reason: address (429, too many under way), overload (503, no place "
        "for a body) or slow_body (408).",
        labels=("reason",),
    ),
    MetricDefinition(
        "registry_logins_refused_total",
        "counter",
        "Names and secrets that were refused, at whichever entrance. Reason: wrong_secret, unknown_name, unknown_token "
        "(an access token that was revoked or never was), locked_out, expired, disabled, address_not_allowed, "
        "busy (too many were being checked) or other.",
        labels=("reason",),
    ),
    MetricDefinition(
        "registry_storage_used_bytes",
        "gauge",
        "Bytes taken on the file system of the blobs; for an object store, the sum of our blobs in it.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_storage_capacity_bytes",
        "gauge",
        "Size of the file system of the blobs; not reported for an object store, which has no size to know.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_sqlite_wal_bytes",
        "gauge",
        "Size of SQLite's write-ahead log; if it only grows, a reader keeps it from being folded in.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_journal_backlog",
        "gauge",
        "Changes committed to the metadata but not yet written to the journal beside the blobs.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_database_mismatch",
        "gauge",
        "1 while nothing can be pushed because storage and database don't belong together, as after the restore of an "
        "older copy of either, or with a volume that is not mounted: see the log for the remedy. An alarm.",
        gauge_mode="livemax",
    ),
    MetricDefinition(
        "registry_uploads_expired_total",
        "counter",
        "Unfinished uploads that were removed because nobody went on with them.",
    ),
    MetricDefinition(
        "registry_orphans",
        "gauge",
        "Objects in the blob store that no row of the database mentions, as of the last pass of the sweep.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_orphan_bytes",
        "gauge",
        "Bytes of these objects; parts of unfinished uploads to an object store are not counted.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_orphans_found_total",
        "counter",
        "Orphans that a pass of the sweep saw for the first time. A few after a crash are normal.",
    ),
    MetricDefinition(
        "registry_orphans_removed_total",
        "counter",
        "Orphans that were removed after the grace period.",
    ),
    MetricDefinition(
        "registry_orphans_removed_bytes_total",
        "counter",
        "Bytes that removing orphans set free.",
    ),
    MetricDefinition(
        "registry_blobs_healed_total",
        "counter",
        "Blobs whose bytes were lost, and that a push of the same content brought back. Look at the disk.",
    ),
    MetricDefinition(
        "registry_scrub_running",
        "gauge",
        "1 while the scheduled verification is under way on this node, else 0.",
        gauge_mode="livesum",
    ),
    MetricDefinition(
        "registry_scrub_progress_ratio",
        "gauge",
        "How much of the blobs the pass under way has examined, from 0 to 1; of the last one when none is.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_scrub_last_completed_timestamp_seconds",
        "gauge",
        "When a scheduled verification last came to its end, in seconds since 1970; 0: never; 1: while the database's "
        "clock was ahead, so nobody knows when. Older than two periods, which 1 is, is an alarm.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_scrub_damaged",
        "gauge",
        "Damage left, as of the pass of the scheduled verification under way, or the last one, by kind. More than 0 is "
        "an alarm: run entrepot verify.",
        labels=("kind",),
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_scrub_objects_total",
        "counter",
        "Blobs, manifests, facts and objects that the scheduled verification looked at.",
    ),
    MetricDefinition(
        "registry_scrub_bytes_total",
        "counter",
        "Bytes that the scheduled verification read and hashed.",
    ),
    MetricDefinition(
        "registry_backup_last_completed_timestamp_seconds",
        "gauge",
        "When the last complete backup of this registry ended, in seconds since 1970; 0: none ever did; 1: one did "
        "while the database's clock was ahead, so nobody knows when. Alarm when it is older than two of your "
        "periods, as 0 and 1 are.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_audit_unsealed",
        "gauge",
        "Records of the audit log that have no place in its chain yet. Some hundreds under load are normal; an alarm "
        "when they stay above 10000.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_audit_drained_timestamp_seconds",
        "gauge",
        "When the records that this node notes in local files were last taken into the database, in seconds since "
        "1970. Older than a minute is an alarm.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_audit_spool_bytes",
        "gauge",
        "Bytes of these files, including what is in the database already. Pulls are refused at 1 GiB.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_audit_spool_failures_total",
        "counter",
        "Pulls, listings and refusals that could not be noted, not even in memory, and were answered with 503 for "
        "that. Any increase is an alarm: look at the disk.",
    ),
    MetricDefinition(
        "registry_audit_condensed_refusals_total",
        "counter",
        "Refusals of clients that presented nothing right, and of accounts that ask for tokens too often, for which "
        "no record of their own was made: within ten seconds one record stands for those of an address, or of an "
        "account at an address, beyond the third.",
    ),
    MetricDefinition(
        "registry_audit_buffered_total",
        "counter",
        "Pulls, listings and refusals whose records could not be written and had to wait in memory. Any increase is an "
        "alarm: look at the disk.",
    ),
    MetricDefinition(
        "registry_audit_buffer_records",
        "gauge",
        "How many records wait in memory now. At audit_log.buffer_records per process pulls are refused.",
        gauge_mode="livesum",
    ),
    MetricDefinition(
        "registry_audit_spool_damaged_bytes_total",
        "counter",
        "Bytes of these files that were no records any more. Any increase is an alarm: the files are kept beside the "
        "others, with the ending .damaged.",
    ),
    MetricDefinition(
        "registry_audit_checkpoint_timestamp_seconds",
        "gauge",
        "When the end of the audit log's chain was last signed, in seconds since 1970; 0: never. It is signed again "
        "when it has grown.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_signing_keys_locked",
        "gauge",
        "Processes of this node that lack the master key of a signing key that signs now or next. They issue tokens "
        "with what they opened before, if anything. An alarm when it is above 0.",
        gauge_mode="livesum",
    ),
    MetricDefinition(
        "registry_clock_skew_seconds",
        "gauge",
        "How far the database's clock is ahead of this node's; below 0: behind. An alarm beyond 2 s either way.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_audit_unsigned_seconds",
        "gauge",
        "For how long the oldest record of the chain that no checkpoint covers has waited for one; 0: none waits. An "
        "alarm when it is above twelve periods of audit_log.checkpoint_seconds.",
        gauge_mode="mostrecent",
    ),
    MetricDefinition(
        "registry_audit_checkpoint_failures_total",
        "counter",
        "How often the end of the audit log could not be signed, or a checkpoint's file not be written; each is tried "
        "again. The log tells why: audit.end.failed, or duty.failed of audit checkpoint.",
    ),
)
