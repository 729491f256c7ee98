-- The record of truth of authsvc. Leading keys: staff ID for identity, region for requests and changes (design, section 5).
-- Runs as the owner; the service's role gets the least it needs at the end.

create table auth.installation (
    key   text primary key,
    value text not null
);

-- Changes: what nodes re-read. The counter row is locked as the last statement of a transaction, so commit order is
-- revision order within a region.
create table auth.region_revisions (
    region_id text primary key,
    number    bigint not null default 0
);
create table auth.changes (
    region_id text not null,
    number    bigint not null,
    kind      text not null,
    entity_id text not null,
    at        timestamptz not null,
    primary key (region_id, number)
);
create index changes_at on auth.changes (at);

-- Directory.
create table auth.regions (
    region_id text primary key,
    name      text not null
);
create table auth.stores (
    store_id     text primary key,
    region_id    text not null references auth.regions,
    name         text not null,
    address      text not null default '',
    hotline      text not null default '',
    hours        jsonb not null default '[]',
    special_days jsonb not null default '[]',
    is_closed    boolean not null default false
);
create index stores_region on auth.stores (region_id);
create table auth.terminals (
    terminal_id text primary key,
    store_id    text not null references auth.stores,
    name        text not null default '',
    is_retired  boolean not null default false
);
create index terminals_store on auth.terminals (store_id);
create table auth.systems (
    system_id    text primary key,
    name         text not null default '',
    store_ids    text[] not null default '{}',
    terminal_ids text[] not null default '{}',
    is_retired   boolean not null default false
);

-- Policy as data (CI-2). A body is canonical JSON of the entity of infosec/decision.
create table auth.roles (
    role_id text primary key,
    body    jsonb not null
);
create table auth.operations (
    code text primary key,
    body jsonb not null
);

-- Staff IDs. Phone and facts are sealed (AES-GCM); the facts are opened by the password checker alone (ID-3).
create table auth.staff (
    staff_id     text primary key,
    name         text not null,
    role_id      text not null references auth.roles,
    store_id     text not null references auth.stores,
    region_id    text not null references auth.regions,
    state        text not null check (state in ('ISSUED', 'ACTIVE', 'LOCKED', 'BLACKLISTED', 'SUSPENDED', 'CLOSED')),
    state_since  timestamptz not null,
    epoch        integer not null default 1,
    is_partner   boolean not null default false,
    phone_sealed bytea not null,
    phone_masked text not null,
    facts_sealed bytea not null,
    created_at   timestamptz not null,
    created_by   text not null
);
create index staff_store on auth.staff (store_id, staff_id);
create index staff_region on auth.staff (region_id, staff_id);

create table auth.credentials (
    staff_id        text primary key references auth.staff,
    hash            text not null,
    is_first        boolean not null,
    must_change     boolean not null default false,
    first_expires_at timestamptz,
    first_used_at   timestamptz,
    changed_at      timestamptz not null,
    ends_at         timestamptz not null,
    failures        integer not null default 0 check (failures between 0 and 5),
    failures_since  integer not null default 0,
    last_failure_at timestamptz,
    last_login_at   timestamptz,
    last_login_terminal_id text,
    last_login_store_id text,
    reminded_days   integer,
    delivery_id     uuid,
    delivery_state  text not null default 'QUEUED'
);
create index credentials_ends on auth.credentials (ends_at);
create index credentials_delivery on auth.credentials (delivery_id) where delivery_state in ('QUEUED', 'FAILED');
create table auth.password_history (
    staff_id text not null references auth.staff,
    seq      bigint generated always as identity,
    used_at  timestamptz not null,
    hash     text not null,
    primary key (staff_id, seq)
);
create table auth.totp (
    staff_id      text primary key references auth.staff,
    secret_sealed bytea,
    active        boolean not null default false,
    pending_sealed bytea,
    last_step     bigint not null default 0
);
create table auth.lock_history (
    staff_id    text not null references auth.staff,
    locked_at   timestamptz not null,
    terminal_id text not null,
    store_id    text not null,
    primary key (staff_id, locked_at)
);
create index lock_history_terminal on auth.lock_history (terminal_id, locked_at);
create table auth.staff_terminals (
    staff_id    text not null references auth.staff,
    terminal_id text not null,
    first_at    timestamptz not null,
    last_at     timestamptz not null,
    primary key (staff_id, terminal_id)
);

-- Places of login attempts in progress: one per staff-ID spelling key and one per terminal, leased in real time (ID-5).
create table auth.attempt_places (
    key        text primary key,
    attempt_id uuid not null,
    expires_at timestamptz not null
);
-- Which staff-ID keys failed at a terminal, and when last (ID-11). Keys are digests: people type passwords into the wrong field.
create table auth.terminal_failures (
    terminal_id text not null,
    attempt_key text not null,
    failed_at   timestamptz not null,
    primary key (terminal_id, attempt_key)
);

create table auth.sessions (
    session_id       text primary key,
    staff_id         text not null references auth.staff,
    terminal_id      text not null,
    store_id         text not null,
    region_id        text not null,
    system_id        text not null,
    staff_epoch      integer not null,
    started_at       timestamptz not null,
    ends_at          timestamptz not null,
    last_seen        timestamptz not null,
    is_locked        boolean not null default false,
    must_change      boolean not null default false,
    must_enroll      boolean not null default false,
    stepped_up_until timestamptz,
    ended_at         timestamptz,
    end_reason       text
);
create unique index sessions_one_live on auth.sessions (staff_id) where ended_at is null;
create index sessions_newest on auth.sessions (staff_id, started_at desc);
create index sessions_live_seen on auth.sessions (last_seen) where ended_at is null;

-- One-time codes to the bound phone (RQ-1). Keyed digests; the key is a file, not in here.
create table auth.proof_challenges (
    challenge_id uuid primary key,
    attempt_key  text not null,
    staff_id     text references auth.staff,
    terminal_id  text not null,
    digest       bytea not null,
    tries        integer not null default 0,
    created_at   timestamptz not null,
    expires_at   timestamptz not null,
    used_at      timestamptz,
    proof_used_at timestamptz
);
create index proof_challenges_key on auth.proof_challenges (attempt_key, created_at);
create index proof_challenges_terminal on auth.proof_challenges (terminal_id, created_at);

-- Whoever counts codes under a staff-ID key or at a terminal holds its row: parallel calls cannot pass a limit (RQ-1).
create table auth.proof_places (
    key text primary key,
    at  timestamptz not null
);
create index proof_places_at on auth.proof_places (at);

-- Requests (section B): both faces, one engine.
create table auth.requests (
    region_id       text not null,
    id              uuid not null,
    kind            text not null,
    state           text not null,
    level           text not null,
    subject_id      text not null,
    submitted_by    text not null,
    submitted_at    timestamptz not null,
    store_id        text not null,
    reason          text not null,
    change          jsonb not null default '{}',
    change_sealed   bytea,
    evidence        jsonb not null default '{}',
    decider_roles   text[] not null default '{}',
    escalates_at    timestamptz,
    expires_at      timestamptz not null,
    decided_by      text,
    decider_role    text,
    decided_at      timestamptz,
    decision_reason text not null default '',
    execute_by      timestamptz,
    executed_at     timestamptz,
    delivery_id     uuid,
    flags           text[] not null default '{}',
    primary key (region_id, id)
);
create unique index requests_id on auth.requests (id);
create index requests_newest on auth.requests (submitted_at, id);
create index requests_subject on auth.requests (subject_id, submitted_at);
create index requests_decided on auth.requests (decided_by, decided_at) where decided_by is not null;
create index requests_delivery on auth.requests (delivery_id) where state = 'approved';
create index requests_open on auth.requests (state, expires_at);
create unique index requests_one_open on auth.requests (subject_id, kind)
    where state in ('pending', 'approved') and kind not in ('approval', 'change-policy');

-- Grants that this service issued, and what they are bound to (RQ-7).
create table auth.grants (
    grant_id   text primary key,
    kind       text not null,
    request_id uuid,
    region_id  text not null,
    store_id   text not null,
    order_id   text,
    bound_at   timestamptz,
    revoked_at timestamptz,
    expires_at timestamptz not null
);
create index grants_expiry on auth.grants (expires_at);

create table auth.assignments (
    staff_id        text not null references auth.staff,
    customer_digest bytea not null,
    assigned_at     timestamptz not null,
    assigned_by     text not null,
    primary key (staff_id, customer_digest)
);

-- Retry recognition: an HMAC of the call without its secret fields, and the answer that was given.
create table auth.retries (
    request_id  uuid not null,
    caller      text not null,
    fingerprint bytea not null,
    answer      bytea not null,
    at          timestamptz not null,
    primary key (request_id, caller)
);
create index retries_at on auth.retries (at);

create table auth.findings (
    finding_id  uuid primary key,
    kind        text not null,
    staff_id    text not null default '',
    terminal_id text not null default '',
    store_id    text not null default '',
    region_id   text not null,
    at          timestamptz not null,
    detail      jsonb not null default '{}'
);
create index findings_region on auth.findings (region_id, at desc);

-- Two people's codes for the day when no administrator can log in (ID-8).
create table auth.break_glass (
    holder  text primary key,
    hash    text not null,
    used_at timestamptz
);

create table auth.outbox (
    event_id     uuid primary key,
    topic        text not null,
    seq          bigint generated always as identity,
    body         bytea not null,
    created_at   timestamptz not null,
    not_before   timestamptz not null,
    attempts     integer not null default 0,
    last_error   text,
    delivered_at timestamptz
);
create index outbox_due on auth.outbox (topic, not_before, seq) where delivered_at is null;

create table auth.jobs (
    name         text primary key,
    lease_owner  text,
    lease_until  timestamptz,
    last_success timestamptz,
    next_due     timestamptz
);

grant usage on schema auth to auth_service;
grant select, insert, update on all tables in schema auth to auth_service;
grant delete on auth.changes, auth.attempt_places, auth.terminal_failures, auth.assignments, auth.retries,
    auth.password_history, auth.proof_challenges, auth.proof_places, auth.outbox to auth_service;
revoke insert, update on auth.installation, auth.schema_migrations from auth_service;
-- An event that waits stays the event it is; a message's body goes with its delivery (ID-7).
revoke update on auth.outbox from auth_service;
grant update (body, not_before, attempts, last_error, delivered_at) on auth.outbox to auth_service;
-- What a decider sees of a staff ID, and what was reported of it, is added to and never changed (RQ-3, ID-10).
revoke update on auth.lock_history, auth.findings from auth_service;
-- Who could write codes could break the glass alone (ID-8).
revoke all on auth.break_glass from auth_service;
