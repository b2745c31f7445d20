-- The numbers of members, roles and labels, which the management API shows, are never given to another row: whoever
-- deletes by a number that they read before must not hit what came later. PostgreSQL never did; SQLite needs the tables
-- made anew, with the rows and numbers that they have. No other table refers to any of the three.

-- only on sqlite
CREATE TABLE numbered_roles (
    id {sequence},
    name {text} NOT NULL UNIQUE,
    level {text} NOT NULL CHECK (level IN ('project', 'system')),
    description {text} NOT NULL DEFAULT '',
    permissions {bytes} NOT NULL,
    created_at {integer} NOT NULL,
    updated_at {integer} NOT NULL
) {table};

INSERT INTO numbered_roles (id, name, level, description, permissions, created_at, updated_at)
SELECT id, name, level, description, permissions, created_at, updated_at FROM roles;

DROP TABLE roles;

ALTER TABLE numbered_roles RENAME TO roles;

CREATE TABLE numbered_assignments (
    id {sequence},
    subject_id {integer} NOT NULL REFERENCES subjects (id),
    project_id {integer} REFERENCES projects (id) ON DELETE CASCADE,
    role {text} NOT NULL,
    created_at {integer} NOT NULL,
    creator {text} NOT NULL
) {table};

INSERT INTO numbered_assignments (id, subject_id, project_id, role, created_at, creator)
SELECT id, subject_id, project_id, role, created_at, creator FROM role_assignments;

DROP TABLE role_assignments;

ALTER TABLE numbered_assignments RENAME TO role_assignments;

CREATE UNIQUE INDEX role_assignments_project ON role_assignments (project_id, subject_id) WHERE project_id IS NOT NULL;
CREATE UNIQUE INDEX role_assignments_system ON role_assignments (subject_id, role) WHERE project_id IS NULL;
CREATE INDEX role_assignments_subject ON role_assignments (subject_id);
CREATE INDEX role_assignments_role ON role_assignments (role, subject_id);

CREATE TABLE numbered_labels (
    id {sequence},
    project_id {integer} REFERENCES projects (id) ON DELETE CASCADE,
    name {text} NOT NULL,
    description {text} NOT NULL DEFAULT '',
    color {text} NOT NULL DEFAULT '',
    created_at {integer} NOT NULL,
    updated_at {integer} NOT NULL
) {table};

INSERT INTO numbered_labels (id, project_id, name, description, color, created_at, updated_at)
SELECT id, project_id, name, description, color, created_at, updated_at FROM labels;

DROP TABLE labels;

ALTER TABLE numbered_labels RENAME TO labels;

CREATE UNIQUE INDEX labels_global ON labels (name) WHERE project_id IS NULL;
CREATE UNIQUE INDEX labels_project ON labels (project_id, name) WHERE project_id IS NOT NULL;
-- end of only
