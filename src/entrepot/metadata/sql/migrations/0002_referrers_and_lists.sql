-- What lists of referrers are read from, page by page in the order of their digests. Only live manifests stand in these
-- indexes: however many deleted ones there are, a page costs the same.
CREATE INDEX manifests_referrers ON manifests (repository_id, subject_digest, digest)
    WHERE subject_digest IS NOT NULL AND state = 'live';
CREATE INDEX manifests_referrers_by_type ON manifests (repository_id, subject_digest, artifact_type, digest)
    WHERE subject_digest IS NOT NULL AND state = 'live';

-- The entries of an index in the order of their digests: clients that know no referrers API keep lists of referrers as
-- indexes under a tag.
CREATE INDEX manifest_references_listed ON manifest_references (manifest_id, digest, child_id) WHERE kind = 'manifest';

-- What manifests name without the repository's having had it, by digest: when it came later, it must not be deleted
-- from under them. Few references are of that kind.
CREATE INDEX manifest_references_unresolved ON manifest_references (digest)
    WHERE blob_id IS NULL AND child_id IS NULL;
