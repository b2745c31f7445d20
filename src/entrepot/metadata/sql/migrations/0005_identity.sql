-- People, groups, robots, what they may do, what they present to prove who they are, and the record of what they did.

-- Epochs let issued tokens die: a token carries those it was issued under, and processes watch for the ones that changed.
ALTER TABLE subjects ADD COLUMN epoch_changed_at {integer};
ALTER TABLE projects ADD COLUMN epoch_changed_at {integer};
CREATE INDEX subjects_epoch ON subjects (epoch_changed_at) WHERE epoch_changed_at IS NOT NULL;
CREATE INDEX projects_epoch ON projects (epoch_changed_at) WHERE epoch_changed_at IS NOT NULL;

-- A project without an owner comes from the days before accounts; the first administrator takes it over. The number is
-- that of a subject; an old table gets no new constraint, since a program of the version before still writes to it.
ALTER TABLE projects ADD COLUMN owner_id {integer};
ALTER TABLE projects ADD COLUMN is_public {integer} NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN repository_creation {text} NOT NULL DEFAULT 'operators';
ALTER TABLE projects ADD COLUMN updated_at {integer};
CREATE INDEX projects_owner ON projects (owner_id);

-- A deleted project keeps its row and its name until somebody makes another of that name, so that whoever watches epochs
-- sees it move; then the old row gives the name up, and the new one begins with a greater epoch.
ALTER TABLE projects ADD COLUMN deleted_at {integer};

ALTER TABLE repositories ADD COLUMN description {text} NOT NULL DEFAULT '';
ALTER TABLE repositories ADD COLUMN updated_at {integer};

-- What Harbor calls metadata and nothing decides by; values are texts.
CREATE TABLE project_metadata (
    project_id {integer} NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name {text} NOT NULL,
    value {text} NOT NULL,
    PRIMARY KEY (project_id, name)
) {keyed_table};

-- A row for each subject of the kind 'user'. Without a password hash nobody logs in by password.
CREATE TABLE users (
    subject_id {integer} NOT NULL PRIMARY KEY REFERENCES subjects (id),
    email {text} NOT NULL DEFAULT '',
    realname {text} NOT NULL DEFAULT '',
    comment {text} NOT NULL DEFAULT '',
    password_hash {text},
    password_changed_at {integer},
    must_change_password {integer} NOT NULL DEFAULT 0 CHECK (must_change_password IN (0, 1)),
    last_login_at {integer},
    updated_at {integer} NOT NULL
) {table};

CREATE TABLE password_history (
    id {identity},
    subject_id {integer} NOT NULL REFERENCES subjects (id),
    password_hash {text} NOT NULL,
    changed_at {integer} NOT NULL
) {table};

CREATE INDEX password_history_subject ON password_history (subject_id, id);

-- A row for each subject of the kind 'group'. Types are Harbor's: 1 LDAP, 2 HTTP, 3 OIDC.
CREATE TABLE user_groups (
    subject_id {integer} NOT NULL PRIMARY KEY REFERENCES subjects (id),
    group_type {integer} NOT NULL,
    ldap_group_dn {text} NOT NULL DEFAULT '',
    updated_at {integer} NOT NULL
) {table};

CREATE TABLE group_members (
    group_id {integer} NOT NULL REFERENCES subjects (id),
    user_id {integer} NOT NULL REFERENCES subjects (id),
    PRIMARY KEY (group_id, user_id)
) {keyed_table};

CREATE INDEX group_members_user ON group_members (user_id);

-- Roles beside the built-in ones; permissions are a JSON array of "resource:action".
CREATE TABLE roles (
    id {identity},
    name {text} NOT NULL UNIQUE,
    level {text} NOT NULL CHECK (level IN ('project', 'system')),
    description {text} NOT NULL DEFAULT '',
    permissions {bytes} NOT NULL,
    created_at {integer} NOT NULL,
    updated_at {integer} NOT NULL
) {table};

-- Who has which role: a person or a group, in one project or (without a project) in all and on the system.
CREATE TABLE role_assignments (
    id {identity},
    subject_id {integer} NOT NULL REFERENCES subjects (id),
    project_id {integer} REFERENCES projects (id) ON DELETE CASCADE,
    role {text} NOT NULL,
    created_at {integer} NOT NULL,
    creator {text} NOT NULL
) {table};

CREATE UNIQUE INDEX role_assignments_project ON role_assignments (project_id, subject_id) WHERE project_id IS NOT NULL;
CREATE UNIQUE INDEX role_assignments_system ON role_assignments (subject_id, role) WHERE project_id IS NULL;
CREATE INDEX role_assignments_subject ON role_assignments (subject_id);
CREATE INDEX role_assignments_role ON role_assignments (role, subject_id);

-- A row for each subject of the kind 'robot'. Of a generated secret, 256 random bits, a plain SHA-256 is kept; of one that
-- somebody chose, an argon2id hash. `creator` is who answers for it (a subject's public id, or an operator of the host):
-- what they may not do any more, it may not either.
CREATE TABLE robots (
    subject_id {integer} NOT NULL PRIMARY KEY REFERENCES subjects (id),
    project_id {integer} REFERENCES projects (id) ON DELETE CASCADE,
    short_name {text} NOT NULL,
    description {text} NOT NULL DEFAULT '',
    secret_hash {text} NOT NULL,
    permissions {bytes} NOT NULL,
    allowed_addresses {bytes} NOT NULL,
    duration_days {integer} NOT NULL,
    expires_at {integer},
    creator {text} NOT NULL,
    last_used_at {integer},
    updated_at {integer} NOT NULL
) {table};

CREATE INDEX robots_project ON robots (project_id, subject_id);
CREATE INDEX robots_creator ON robots (creator);

CREATE TABLE access_tokens (
    id {identity},
    public_id {text} NOT NULL UNIQUE,
    subject_id {integer} NOT NULL REFERENCES subjects (id),
    name {text} NOT NULL,
    secret_hash {text} NOT NULL UNIQUE,
    scopes {bytes} NOT NULL,
    created_at {integer} NOT NULL,
    expires_at {integer},
    last_used_at {integer},
    UNIQUE (subject_id, name)
) {table};

-- What the token service hands out for offline use. `credential` names the access token it was obtained with, if any,
-- so that it never outlives it and never reaches further.
CREATE TABLE refresh_tokens (
    id {identity},
    secret_hash {text} NOT NULL UNIQUE,
    subject_id {integer} NOT NULL REFERENCES subjects (id),
    credential {text} NOT NULL DEFAULT '',
    service {text} NOT NULL,
    client_id {text} NOT NULL DEFAULT '',
    subject_epoch {integer} NOT NULL,
    created_at {integer} NOT NULL,
    last_used_at {integer}
) {table};

CREATE INDEX refresh_tokens_subject ON refresh_tokens (subject_id, id);

-- Counted by account and address together, so that nobody locks out somebody else from afar.
CREATE TABLE login_failures (
    account {text} NOT NULL,
    address {text} NOT NULL,
    failures {integer} NOT NULL,
    window_started_at {integer} NOT NULL,
    locked_until {integer},
    PRIMARY KEY (account, address)
) {keyed_table};

CREATE INDEX login_failures_window ON login_failures (window_started_at);

CREATE TABLE web_sessions (
    id {identity},
    public_id {text} NOT NULL UNIQUE,
    secret_hash {text} NOT NULL UNIQUE,
    subject_id {integer} NOT NULL REFERENCES subjects (id),
    subject_epoch {integer} NOT NULL,
    address {text} NOT NULL,
    user_agent {text} NOT NULL,
    created_at {integer} NOT NULL,
    last_seen_at {integer} NOT NULL,
    expires_at {integer} NOT NULL
) {table};

CREATE INDEX web_sessions_subject ON web_sessions (subject_id, id);
CREATE INDEX web_sessions_expiry ON web_sessions (expires_at);

-- Keys that sign tokens and checkpoints of the audit log. The private half is sealed with the master key.
CREATE TABLE signing_keys (
    id {identity},
    key_id {text} NOT NULL UNIQUE,
    purpose {text} NOT NULL CHECK (purpose IN ('token', 'audit')),
    algorithm {text} NOT NULL,
    public_key {bytes} NOT NULL,
    private_key_sealed {bytes} NOT NULL,
    master_key_id {text} NOT NULL,
    state {text} NOT NULL CHECK (state IN ('next', 'active', 'retired', 'revoked')),
    created_at {integer} NOT NULL,
    activated_at {integer},
    retired_at {integer}
) {table};

CREATE INDEX signing_keys_purpose ON signing_keys (purpose, id);

-- Nodes that start or rotate at the same time end up with the same keys.
CREATE UNIQUE INDEX signing_keys_next ON signing_keys (purpose) WHERE state = 'next';
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (purpose) WHERE state = 'active';

-- Settings that are changed at run time, through the API.
CREATE TABLE configurations (
    name {text} NOT NULL PRIMARY KEY,
    value {text} NOT NULL,
    updated_at {integer} NOT NULL,
    updated_by {text} NOT NULL
) {table};

CREATE TABLE labels (
    id {identity},
    project_id {integer} REFERENCES projects (id) ON DELETE CASCADE,
    name {text} NOT NULL,
    description {text} NOT NULL DEFAULT '',
    color {text} NOT NULL DEFAULT '',
    created_at {integer} NOT NULL,
    updated_at {integer} NOT NULL
) {table};

CREATE UNIQUE INDEX labels_global ON labels (name) WHERE project_id IS NULL;
CREATE UNIQUE INDEX labels_project ON labels (project_id, name) WHERE project_id IS NOT NULL;

-- What the sealer chains: `body` is what is hashed, with personal data as salted commitments; `disclosure` holds these
-- data and their salts and can be erased without breaking the chain. The other columns are for finding records.
-- A record gets its place in the chain when it is sealed: order of sealing, not of insertion, is the order that is proven.
CREATE TABLE audit_records (
    id {sequence},
    record_id {text} NOT NULL UNIQUE,
    at {integer} NOT NULL,
    action {text} NOT NULL,
    outcome {text} NOT NULL,
    subject {text} NOT NULL,
    user_name {text} NOT NULL,
    address {text} NOT NULL,
    project {text} NOT NULL,
    object_kind {text} NOT NULL,
    object_name {text} NOT NULL,
    request_id {text} NOT NULL,
    body {bytes} NOT NULL,
    disclosure {bytes},
    sequence {integer},
    chain_hash {text}
) {table};

CREATE INDEX audit_records_unsealed ON audit_records (id) WHERE sequence IS NULL;
CREATE UNIQUE INDEX audit_records_sequence ON audit_records (sequence) WHERE sequence IS NOT NULL;
CREATE INDEX audit_records_at ON audit_records (at, id);
CREATE INDEX audit_records_user ON audit_records (user_name, id);
CREATE INDEX audit_records_project ON audit_records (project, id);
CREATE INDEX audit_records_action ON audit_records (action, id);
CREATE INDEX audit_records_address ON audit_records (address, id);

-- The end of the chain, and how much of its beginning was purged.
CREATE TABLE audit_chain (
    id {integer} NOT NULL PRIMARY KEY CHECK (id = 1),
    chain_id {text} NOT NULL,
    algorithm {text} NOT NULL,
    sequence {integer} NOT NULL,
    chain_hash {text} NOT NULL,
    purged_sequence {integer} NOT NULL,
    purged_hash {text} NOT NULL
) {table};

-- Who verifies needs nothing beside a checkpoint: `signed` names the chain, its end and the time, and the public key is there.
CREATE TABLE audit_checkpoints (
    sequence {integer} NOT NULL PRIMARY KEY,
    chain_hash {text} NOT NULL,
    algorithm {text} NOT NULL,
    key_id {text} NOT NULL,
    public_key {bytes} NOT NULL,
    signed {bytes} NOT NULL,
    signature {bytes} NOT NULL,
    at {integer} NOT NULL
) {table};

-- How far the local files, in which nodes note pulls and refusals before they answer, have been taken into the database.
CREATE TABLE audit_spools (
    node {text} NOT NULL,
    segment {text} NOT NULL,
    byte_offset {integer} NOT NULL,
    updated_at {integer} NOT NULL,
    PRIMARY KEY (node, segment)
) {keyed_table};
