-- Messages to phones. What a message says is in `sealed` alone, and only for as long as it can still be sent: the column
-- is emptied by the very change that reaches ACCEPTED, DELIVERED or EXPIRED. No column holds a phone number.
-- Runs as the owner; the service's role gets the least it needs at the end.

create table notify.messages (
    message_id       uuid primary key,
    template         text not null,
    masked_phone     text not null,
    state            text not null check (state in ('QUEUED', 'ACCEPTED', 'DELIVERED', 'FAILED', 'EXPIRED')),
    fault            text not null default '',
    attempts         integer not null default 0,
    tries            integer not null default 0,
    sealed           bytea not null,
    -- SHA-256 over template, end and sealed bytes: recognises a retry after the body is gone. Sealed bytes are random.
    digest           bytea not null,
    created_at       timestamptz not null,
    updated_at       timestamptz not null,
    next_try_at      timestamptz not null,
    expires_at       timestamptz not null,
    -- Real time, not the suite's clock: until then one worker has the message.
    leased_until     timestamptz,
    -- The last Retry that began a round, so that the same call again begins no other.
    retry_request_id uuid,
    constraint body_only_while_needed check (state in ('QUEUED', 'FAILED') or length(sealed) = 0)
);

create index messages_due on notify.messages (next_try_at) where state = 'QUEUED';
create index messages_ending on notify.messages (expires_at) where state in ('QUEUED', 'FAILED');
create index messages_dead on notify.messages (created_at, message_id) where state in ('FAILED', 'EXPIRED');

-- No delete: that a message was sent, and how it fared, is kept (ID-1).
grant usage on schema notify to notify_service;
grant select, insert on notify.messages to notify_service;
grant update (state, fault, attempts, tries, sealed, updated_at, next_try_at, leased_until, retry_request_id)
    on notify.messages to notify_service;
