-- The sweep of orphans asks whether any row mentions a key.
CREATE INDEX blobs_storage_key ON blobs (storage_key);
CREATE INDEX manifest_bodies_storage_key ON manifest_bodies (storage_key);

-- Things in the blob store that no row mentioned when a sweep first saw them.
CREATE TABLE orphans (
    storage_key {text} NOT NULL PRIMARY KEY,
    size_bytes {integer} NOT NULL,
    seen_at {integer} NOT NULL
) {keyed_table};

-- One row per kind of sweep: who is at it, how far it has come, and when it is due again.
CREATE TABLE sweeps (
    name {text} NOT NULL PRIMARY KEY,
    progress {text} NOT NULL,
    fence {integer} NOT NULL,
    lease_until {integer},
    due_at {integer} NOT NULL
) {keyed_table};
