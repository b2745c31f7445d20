"""The metadata store on SQL: one catalogue of literal statements, run by SQLite or by PostgreSQL."""
