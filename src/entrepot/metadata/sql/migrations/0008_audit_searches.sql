-- The audit log is looked through by object and for failures, too; most records are pulls that succeeded, which cost the
-- second index nothing.
CREATE INDEX audit_records_object ON audit_records (object_name, id);
CREATE INDEX audit_records_failure ON audit_records (id) WHERE outcome = 'failure';
