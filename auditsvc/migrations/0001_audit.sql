-- The record of truth of auditsvc: one log for each region. Runs as the owner; the roles get the least they need at the end.

-- The one row that names the installation.
create table audit.installation (
    installation_id text primary key
);

-- The head of each log, locked by whoever appends: so indices have no gaps and the tree is whole at every commit.
create table audit.logs (
    log_id      text primary key,
    size        bigint not null default 0,
    first_index bigint not null default 0,      -- what retention has left begins here
    recorded_at timestamptz not null,           -- of the newest entry; never goes back within a log
    frontier    bytea not null default '',      -- the compact range of the whole log: 32 bytes a hash, from left to right
    edges       bytea[] not null default '{}'   -- the tiles that are not full yet, one for each tile level
);

-- What happened. `body` is the canonical JSON whose RFC 6962 leaf hash is in the tree; the other columns are copies, to search by.
create table audit.entries (
    log_id      text not null,
    index       bigint not null,
    event_id    uuid not null,
    recorded_at timestamptz not null,
    type        text not null,
    store_id    text,
    staff_id    text,
    operation   text,
    decision    text,
    subject_id  uuid,
    body        bytea not null,
    primary key (log_id, index)
);
create unique index entries_event on audit.entries (event_id);
create index entries_subject on audit.entries (subject_id, log_id, index) where subject_id is not null;
create index entries_staff on audit.entries (staff_id, log_id, index) where staff_id is not null;

-- The tree, in full tiles: 256 hashes of nodes of level 8 * level, from node 256 * index on. A tile never changes.
create table audit.tiles (
    log_id text not null,
    level  smallint not null,
    index  bigint not null,
    hashes bytea not null,
    primary key (log_id, level, index)
);

-- Signed notes, with the cosignatures that came in.
create table audit.checkpoints (
    log_id    text not null,
    size      bigint not null,
    root      bytea not null,
    note      text not null,
    signed_at timestamptz not null,
    primary key (log_id, size)
);

-- Who a random subject ID stands for, outside the log. Deleting a row makes every entry about it unreadable for ever.
create table audit.subjects (
    digest     bytea primary key,           -- keyed digest of the customer's number
    subject_id uuid not null unique,
    data_key   bytea not null,              -- sealed; the values in entries are sealed under it
    made_at    timestamptz not null
);

-- A customer's data that must be kept (CI-8). More than one subject where the key of the digests was replaced.
create table audit.holds (
    hold_id     uuid primary key,
    subject_ids uuid[] not null,
    reason      text not null,
    placed_by   text not null,
    placed_at   timestamptz not null,
    released_by text,
    released_at timestamptz
);
create index holds_active on audit.holds (placed_at) where released_at is null;
create index holds_newest on audit.holds (placed_at desc, hold_id desc);

-- Rows that are locked for what they stand for. 'holds': whoever places a hold shares it, whoever deletes takes it alone, so a
-- hold that was answered holds. 'subjects': whoever appends shares it, whoever erases takes it alone and counts, so nobody
-- appends about a subject that they have in memory and that is gone.
create table audit.gates (
    name     text primary key,
    used_at  timestamptz,
    passages bigint not null default 0
);
insert into audit.gates (name) values ('holds'), ('subjects');

-- What takes two people: erasure, release of a hold, retention.
create table audit.acts (
    act_id      uuid primary key,
    kind        text not null,
    state       text not null default 'PROPOSED',
    subject_ids uuid[] not null default '{}',
    hold_id     uuid,
    reason      text not null,
    proposed_by text not null,
    session_id  text not null,
    proposed_at timestamptz not null,
    expires_at  timestamptz not null,
    decided_by  text,
    decided_at  timestamptz,
    payloads    bigint not null default 0,
    entries     bigint not null default 0,
    held        bigint not null default 0,
    constraint takes_two_people check (
        state in ('PROPOSED', 'WITHDRAWN', 'EXPIRED') or (decided_by is not null and decided_by <> proposed_by)
    )
);
create index acts_unfinished on audit.acts (state, expires_at) where state in ('PROPOSED', 'CONFIRMED');
create index acts_newest on audit.acts (proposed_at desc, act_id desc);

-- How far a retention is in each log, so that one that was killed goes on.
create table audit.retentions (
    act_id     uuid not null,
    log_id     text not null,
    until      timestamptz not null,            -- the moment before which the shortest term is over
    from_index bigint not null,
    bound      bigint not null,                 -- nothing from here on is looked at
    to_index   bigint not null,                 -- where the log is to begin then
    next_index bigint not null,
    deleted    bigint not null default 0,
    payloads   bigint not null default 0,
    entries    bigint not null default 0,
    held       bigint not null default 0,
    is_done    boolean not null default false,
    primary key (act_id, log_id)
);

-- Events of the above that are committed with it, until they are in the log.
create table audit.announcements (
    event_id uuid primary key,
    seq      bigint generated always as identity,
    body     bytea not null
);

create table audit.retries (
    request_id  uuid not null,
    caller      text not null,
    fingerprint bytea not null,
    answer      bytea not null,
    at          timestamptz not null,
    primary key (caller, request_id)
);

create table audit.jobs (
    name         text primary key,
    lease_owner  text,
    lease_until  timestamptz,
    last_success timestamptz,
    next_due     timestamptz
);

grant select on audit.installation, audit.schema_migrations to audit_service;
-- The service adds and reads; it changes and removes nothing of what was recorded.
grant select, insert on audit.logs, audit.entries, audit.tiles, audit.checkpoints, audit.subjects, audit.announcements,
    audit.retries, audit.jobs to audit_service;
grant select on audit.holds, audit.acts, audit.gates, audit.retentions to audit_service;
-- It proposes; it can make nothing that looks decided.
grant insert (act_id, kind, subject_ids, hold_id, reason, proposed_by, session_id, proposed_at, expires_at)
    on audit.acts to audit_service;
grant insert (hold_id, subject_ids, reason, placed_by, placed_at) on audit.holds to audit_service;
grant update (used_at) on audit.gates to audit_service;
grant update (size, recorded_at, frontier, edges) on audit.logs to audit_service;
grant update (note) on audit.checkpoints to audit_service;
grant update on audit.jobs to audit_service;
grant delete on audit.retries to audit_service;

-- The keeper carries out what two people decided, and appends nothing.
grant usage on schema audit to audit_keeper;
grant select on all tables in schema audit to audit_keeper;
grant update (state, decided_by, decided_at, payloads, entries, held) on audit.acts to audit_keeper;
grant update (released_by, released_at) on audit.holds to audit_keeper;
grant update (used_at, passages) on audit.gates to audit_keeper;
grant insert, update (to_index, next_index, deleted, payloads, entries, held, is_done) on audit.retentions to audit_keeper;
grant insert, delete on audit.announcements to audit_keeper;
grant insert, delete on audit.retries to audit_keeper;
grant delete on audit.subjects, audit.entries, audit.tiles to audit_keeper;
-- Of checkpoints signed every second one an hour is enough after a day.
grant delete on audit.checkpoints to audit_keeper;
grant update (first_index) on audit.logs to audit_keeper;
