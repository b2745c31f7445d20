-- Whoever makes an account, or changes an e-mail address, looks whether somebody has the like of it, in whichever case.
-- These find it. They are not unique: there may be duplicates from before, and a program of the version before adds to
-- them as long as it runs beside.
CREATE INDEX subjects_lower_name ON subjects (kind, lower(name));
CREATE INDEX users_email ON users (lower(email)) WHERE email <> '';

-- Addresses with more than ASCII, whose case lower() does not know.
-- only on sqlite
CREATE INDEX users_email_not_ascii ON users (subject_id) WHERE length(email) <> length(CAST(email AS BLOB));
-- end of only
-- only on postgresql
CREATE INDEX users_email_not_ascii ON users (subject_id) WHERE char_length(email) <> octet_length(email);
-- end of only

-- Names of projects are used again, and records name the project. The number says which one it was; a record without
-- it comes from a program of the version before, or tells of a request that was refused before anybody looked.
ALTER TABLE audit_records ADD COLUMN project_id {integer};

-- The greatest number of a record when the project was made: what has it, or a smaller one, is not of this project,
-- whatever the clocks said. Empty for projects from before.
ALTER TABLE projects ADD COLUMN audit_mark {integer};
