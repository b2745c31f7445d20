"""Whether blob store and database belong together, before anything is written to either (F47)."""
