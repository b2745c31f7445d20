-- The first schema. Columns that later work needs stand here already, since adding them later would rewrite the
-- largest tables. Times are milliseconds since 1970 by the database's clock. Text compares by bytes.

CREATE TABLE instance (
    id {integer} PRIMARY KEY CHECK (id = 1),
    incarnation {text} NOT NULL,
    created_at {integer} NOT NULL
) {table};

INSERT INTO instance (id, incarnation, created_at) VALUES (1, {random_id}, {now});

CREATE TABLE subjects (
    id {identity},
    public_id {text} NOT NULL UNIQUE,
    kind {text} NOT NULL,
    name {text} NOT NULL,
    epoch {integer} NOT NULL DEFAULT 0,
    created_at {integer} NOT NULL,
    disabled_at {integer},
    UNIQUE (kind, name)
) {table};

CREATE TABLE projects (
    id {identity},
    public_id {text} NOT NULL UNIQUE,
    name {text} NOT NULL UNIQUE,
    epoch {integer} NOT NULL DEFAULT 0,
    security_label {text},
    created_at {integer} NOT NULL,
    creator {text} NOT NULL
) {table};

CREATE TABLE repositories (
    id {identity},
    public_id {text} NOT NULL UNIQUE,
    project_id {integer} NOT NULL REFERENCES projects (id),
    name {text} NOT NULL,
    hold {text},
    security_label {text},
    created_at {integer} NOT NULL,
    creator {text} NOT NULL,
    deleted_at {integer}
) {table};

-- A name is free again once its repository was deleted, while the deleted one can still be restored.
CREATE UNIQUE INDEX repositories_name ON repositories (name) WHERE deleted_at IS NULL;
CREATE INDEX repositories_project ON repositories (project_id, name);

CREATE TABLE blobs (
    id {identity},
    digest {text} NOT NULL UNIQUE,
    size_bytes {integer} NOT NULL CHECK (size_bytes >= 0),
    state {text} NOT NULL CHECK (state IN ('live', 'condemned', 'trash')),
    condemned_at {integer},
    trashed_at {integer},
    storage_key {text} NOT NULL,
    tier {text} NOT NULL DEFAULT 'standard',
    pool {text} NOT NULL DEFAULT 'default',
    encryption_key_id {text},
    created_at {integer} NOT NULL,
    creator {text} NOT NULL
) {table};

CREATE INDEX blobs_dying ON blobs (state, condemned_at) WHERE state <> 'live';

CREATE TABLE repository_blobs (
    repository_id {integer} NOT NULL REFERENCES repositories (id),
    blob_id {integer} NOT NULL REFERENCES blobs (id),
    linked_at {integer} NOT NULL,
    creator {text} NOT NULL,
    PRIMARY KEY (repository_id, blob_id)
) {keyed_table};

CREATE INDEX repository_blobs_blob ON repository_blobs (blob_id);

-- Bodies stand apart: a pull by HEAD doesn't drag them along, and equal manifests of many repositories share one.
CREATE TABLE manifest_bodies (
    digest {text} NOT NULL PRIMARY KEY,
    size_bytes {integer} NOT NULL,
    body {bytes} NOT NULL,
    storage_key {text} NOT NULL
) {table};

CREATE TABLE manifests (
    id {identity},
    repository_id {integer} NOT NULL REFERENCES repositories (id),
    digest {text} NOT NULL REFERENCES manifest_bodies (digest),
    media_type {text} NOT NULL,
    artifact_type {text},
    config_media_type {text},
    subject_digest {text},
    annotations {bytes} NOT NULL,
    size_bytes {integer} NOT NULL,
    state {text} NOT NULL CHECK (state IN ('live', 'condemned', 'trash')),
    condemned_at {integer},
    gate_state {text},
    policy_version {integer},
    valid_until {integer},
    hold {text},
    security_label {text},
    created_at {integer} NOT NULL,
    creator {text} NOT NULL,
    UNIQUE (repository_id, digest)
) {table};

CREATE INDEX manifests_subject ON manifests (repository_id, subject_digest) WHERE subject_digest IS NOT NULL;
CREATE INDEX manifests_body ON manifests (digest);
CREATE INDEX manifests_dying ON manifests (state, condemned_at) WHERE state <> 'live';

-- Either blob_id or child_id is set when the repository had the thing as the manifest came; both are empty for what
-- a manifest may mention without having it (a foreign layer, a platform that was not copied).
CREATE TABLE manifest_references (
    manifest_id {integer} NOT NULL REFERENCES manifests (id) ON DELETE CASCADE,
    position {integer} NOT NULL,
    kind {text} NOT NULL CHECK (kind IN ('config', 'layer', 'manifest')),
    digest {text} NOT NULL,
    size_bytes {integer} NOT NULL,
    media_type {text} NOT NULL,
    blob_id {integer} REFERENCES blobs (id),
    child_id {integer} REFERENCES manifests (id),
    PRIMARY KEY (manifest_id, position)
) {keyed_table};

CREATE INDEX manifest_references_blob ON manifest_references (blob_id) WHERE blob_id IS NOT NULL;
CREATE INDEX manifest_references_child ON manifest_references (child_id) WHERE child_id IS NOT NULL;

CREATE TABLE tags (
    repository_id {integer} NOT NULL REFERENCES repositories (id),
    name {text} NOT NULL,
    manifest_id {integer} NOT NULL REFERENCES manifests (id),
    hold {text},
    created_at {integer} NOT NULL,
    updated_at {integer} NOT NULL,
    updated_by {text} NOT NULL,
    PRIMARY KEY (repository_id, name)
) {keyed_table};

CREATE INDEX tags_manifest ON tags (manifest_id);

CREATE TABLE tag_history (
    id {identity},
    repository_id {integer} NOT NULL REFERENCES repositories (id),
    name {text} NOT NULL,
    digest {text},
    previous_digest {text},
    actor {text} NOT NULL,
    at {integer} NOT NULL
) {table};

CREATE INDEX tag_history_tag ON tag_history (repository_id, name, id);

CREATE TABLE pull_days (
    repository_id {integer} NOT NULL REFERENCES repositories (id),
    digest {text} NOT NULL,
    day {integer} NOT NULL,
    count {integer} NOT NULL,
    PRIMARY KEY (repository_id, digest, day)
) {keyed_table};

CREATE TABLE upload_sessions (
    public_id {text} NOT NULL PRIMARY KEY,
    repository_id {integer} NOT NULL REFERENCES repositories (id),
    creator {text} NOT NULL,
    algorithm {text} NOT NULL,
    byte_offset {integer} NOT NULL DEFAULT 0 CHECK (byte_offset >= 0),
    digest_so_far {text},
    state {bytes} NOT NULL DEFAULT {no_bytes},
    fence {integer} NOT NULL DEFAULT 0,
    lease_owner {text},
    lease_until {integer},
    created_at {integer} NOT NULL,
    updated_at {integer} NOT NULL,
    expires_at {integer} NOT NULL
) {table};

CREATE INDEX upload_sessions_repository ON upload_sessions (repository_id);
CREATE INDEX upload_sessions_expiry ON upload_sessions (expires_at);
CREATE INDEX upload_sessions_lease ON upload_sessions (lease_owner) WHERE lease_owner IS NOT NULL;

CREATE TABLE outbox (
    id {sequence},
    at {integer} NOT NULL,
    kind {text} NOT NULL,
    repository {text} NOT NULL,
    actor {text} NOT NULL,
    payload {bytes} NOT NULL,
    journalled {integer} NOT NULL CHECK (journalled IN (0, 1)),
    journalled_at {integer}
) {table};

CREATE INDEX outbox_unjournalled ON outbox (id) WHERE journalled = 1 AND journalled_at IS NULL;

CREATE TABLE jobs (
    id {identity},
    public_id {text} NOT NULL UNIQUE,
    kind {text} NOT NULL,
    payload {bytes} NOT NULL,
    deduplication_key {text},
    cron {text},
    state {text} NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'cancelled', 'dead')),
    run_at {integer} NOT NULL,
    attempts {integer} NOT NULL DEFAULT 0,
    max_attempts {integer} NOT NULL,
    lease_owner {text},
    lease_until {integer},
    fence {integer} NOT NULL DEFAULT 0,
    progress {bytes},
    cancel_requested_at {integer},
    last_error {text},
    created_at {integer} NOT NULL,
    creator {text} NOT NULL,
    finished_at {integer}
) {table};

CREATE INDEX jobs_due ON jobs (kind, run_at) WHERE state = 'waiting';
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE state = 'running';
CREATE UNIQUE INDEX jobs_deduplication ON jobs (kind, deduplication_key)
    WHERE deduplication_key IS NOT NULL AND state IN ('waiting', 'running');
