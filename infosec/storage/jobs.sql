-- The periodic jobs of a service, for its migration to copy; infosec/storage/jobs.py reads and writes it.
CREATE TABLE {schema}.jobs (
    name         text PRIMARY KEY,
    lease_owner  text,
    lease_until  timestamptz,
    last_success timestamptz,
    next_due     timestamptz
);
GRANT SELECT, INSERT, UPDATE ON {schema}.jobs TO {role};
