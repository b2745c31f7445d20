-- What pulls read most is kept in memory by processes on SQLite for as long as this number stays the same; they ask for
-- it when anything at all was committed. Triggers count, so that no program and no hand at a prompt can forget to. A
-- later migration that makes one of these tables anew makes its triggers anew as well. On PostgreSQL nothing is kept.
CREATE TABLE row_changes (
    id {integer} NOT NULL PRIMARY KEY CHECK (id = 1),
    number {integer} NOT NULL
) {table};
INSERT INTO row_changes (id, number) VALUES (1, 0);

-- only on sqlite
CREATE TRIGGER repositories_inserted AFTER INSERT ON repositories
BEGIN UPDATE row_changes SET number = number + 1; END;
CREATE TRIGGER repositories_updated AFTER UPDATE OF id, project_id, name, deleted_at ON repositories
BEGIN UPDATE row_changes SET number = number + 1; END;
CREATE TRIGGER repositories_deleted AFTER DELETE ON repositories
BEGIN UPDATE row_changes SET number = number + 1; END;

CREATE TRIGGER tags_inserted AFTER INSERT ON tags
BEGIN UPDATE row_changes SET number = number + 1; END;
CREATE TRIGGER tags_updated AFTER UPDATE OF repository_id, name, manifest_id ON tags
BEGIN UPDATE row_changes SET number = number + 1; END;
CREATE TRIGGER tags_deleted AFTER DELETE ON tags
BEGIN UPDATE row_changes SET number = number + 1; END;

CREATE TRIGGER manifests_inserted AFTER INSERT ON manifests
BEGIN UPDATE row_changes SET number = number + 1; END;
CREATE TRIGGER manifests_updated AFTER UPDATE OF id, repository_id, digest, media_type, size_bytes, state ON manifests
BEGIN UPDATE row_changes SET number = number + 1; END;
CREATE TRIGGER manifests_deleted AFTER DELETE ON manifests
BEGIN UPDATE row_changes SET number = number + 1; END;

CREATE TRIGGER manifest_bodies_inserted AFTER INSERT ON manifest_bodies
BEGIN UPDATE row_changes SET number = number + 1; END;
CREATE TRIGGER manifest_bodies_updated AFTER UPDATE OF digest, body ON manifest_bodies
BEGIN UPDATE row_changes SET number = number + 1; END;
CREATE TRIGGER manifest_bodies_deleted AFTER DELETE ON manifest_bodies
BEGIN UPDATE row_changes SET number = number + 1; END;

CREATE TRIGGER blobs_inserted AFTER INSERT ON blobs
BEGIN UPDATE row_changes SET number = number + 1; END;
CREATE TRIGGER blobs_updated AFTER UPDATE OF id, digest, size_bytes, state, storage_key ON blobs
BEGIN UPDATE row_changes SET number = number + 1; END;
CREATE TRIGGER blobs_deleted AFTER DELETE ON blobs
BEGIN UPDATE row_changes SET number = number + 1; END;

CREATE TRIGGER repository_blobs_inserted AFTER INSERT ON repository_blobs
BEGIN UPDATE row_changes SET number = number + 1; END;
CREATE TRIGGER repository_blobs_updated AFTER UPDATE OF repository_id, blob_id ON repository_blobs
BEGIN UPDATE row_changes SET number = number + 1; END;
CREATE TRIGGER repository_blobs_deleted AFTER DELETE ON repository_blobs
BEGIN UPDATE row_changes SET number = number + 1; END;
-- end of only
