-- What a verification found damaged is set aside: in the trash, so that nobody is served it, and marked, so that a
-- collector leaves it alone and the next verification looks at it again.
ALTER TABLE blobs ADD COLUMN quarantined_at {integer};
ALTER TABLE blobs ADD COLUMN quarantine_reason {text};
ALTER TABLE manifests ADD COLUMN quarantined_at {integer};
ALTER TABLE manifests ADD COLUMN quarantine_reason {text};

-- What the current pass of a verification found so far, or the last one in all; one that goes on knows what it found.
CREATE TABLE scrub_findings (
    sweep {text} NOT NULL,
    kind {text} NOT NULL,
    subject {text} NOT NULL,
    finding {text} NOT NULL,
    damage {integer} NOT NULL CHECK (damage IN (0, 1)),
    found_at {integer} NOT NULL,
    PRIMARY KEY (sweep, kind, subject)
) {keyed_table};
