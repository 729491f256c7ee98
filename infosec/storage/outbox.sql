-- The outbox of a service, for its migration to copy; infosec/storage/outbox.py reads and writes it.
-- A relay takes rows of its topic that are undelivered and due; `not_before` is also the lease of a row being delivered.
CREATE TABLE {schema}.outbox (
    event_id     uuid PRIMARY KEY,
    topic        text NOT NULL,
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    body         bytea NOT NULL,
    created_at   timestamptz NOT NULL,
    not_before   timestamptz NOT NULL,
    attempts     int NOT NULL DEFAULT 0,
    last_error   text,
    delivered_at timestamptz
);
CREATE INDEX outbox_undelivered ON {schema}.outbox (topic, not_before) WHERE delivered_at IS NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON {schema}.outbox TO {role};
