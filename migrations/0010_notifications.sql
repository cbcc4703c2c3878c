-- Why: the notifier's memory of whom it told what, and of what it has yet to do. Unlike the views,
-- none of it can be built again from the log: what was decided yesterday depended on yesterday.

-- What was decided, thread by thread (a person and a conversation, or all of theirs by a channel), in the
-- shape that postgres-es writes; the last columns are ours. The answer to "why was I told, or not?".
CREATE TABLE notification_events (
    sequence       bigint      NOT NULL,
    -- For pages: the order in which decisions were stored.
    number         bigint      GENERATED ALWAYS AS IDENTITY,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    aggregate_type text        NOT NULL,
    -- `<userId> <conversationId>` or `<userId> *<channel>`.
    aggregate_id   text COLLATE "C" NOT NULL,
    event_type     text        NOT NULL,
    event_version  text        NOT NULL,
    payload        jsonb       NOT NULL,
    metadata       jsonb       NOT NULL,
    user_id        text COLLATE "C" NOT NULL GENERATED ALWAYS AS (split_part(aggregate_id, ' ', 1)) STORED,
    -- Makes a second decision on the same state impossible.
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);
CREATE INDEX notification_events_by_user ON notification_events (user_id, number DESC);

-- How far into each shard of the log the notifier has settled everything: windows that are still
-- open begin behind it and are read again by whoever takes over.
CREATE TABLE notification_checkpoints (
    position   bigint      NOT NULL,
    -- How far the log was read when this row was written; never before `position`.
    seen       bigint      NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    shard      integer     PRIMARY KEY
) WITH (fillfactor = 50);

-- What has to be looked at, and when. A thread has at most one row. While it is there, further
-- messages only count.
CREATE TABLE notification_timers (
    due_at          timestamptz NOT NULL,
    -- In the conversation's shard: how far the views must reach before it is looked at.
    position        bigint      NOT NULL,
    shard           integer     NOT NULL,
    -- open: a window has ended; read: it was cancelled by reading; cooling: they were told;
    -- deferred: it is not the time to tell them.
    state           text        NOT NULL CHECK (state IN ('open', 'read', 'cooling', 'deferred')),
    user_id         text COLLATE "C" NOT NULL,
    conversation_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
) WITH (fillfactor = 80);
CREATE INDEX notification_timers_due ON notification_timers (due_at);

-- What goes out, one row an endpoint, made from the decision's event: however often that is done,
-- each is there once.
CREATE TABLE notification_deliveries (
    delivery_id     bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    -- pending: when to try; sending: when the one that tries counts as dead.
    next_at         timestamptz NOT NULL,
    -- In the conversation's shard: a reading behind it takes this back.
    position        bigint      NOT NULL,
    -- The first message that it tells of, and how many wait.
    first_seq       bigint      NOT NULL,
    messages        bigint      NOT NULL,
    shard           integer     NOT NULL,
    attempts        integer     NOT NULL DEFAULT 0,
    notification_id uuid        NOT NULL,
    what            text        NOT NULL CHECK (what IN ('digest', 'close', 'verify')),
    channel         text        NOT NULL,
    state           text        NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'sending', 'sent', 'closed', 'cancelled', 'unknown', 'dead', 'dropped')),
    user_id         text COLLATE "C" NOT NULL,
    -- `*<channel>`: over all conversations; empty: about the endpoint itself.
    conversation_id text COLLATE "C" NOT NULL,
    endpoint_id     text COLLATE "C" NOT NULL,
    -- Why the last attempt failed; never an address or a text.
    reason          text,
    UNIQUE (notification_id, channel, endpoint_id, what)
) WITH (fillfactor = 80);
-- The queue.
CREATE INDEX notification_deliveries_due ON notification_deliveries (channel, next_at)
    WHERE state IN ('pending', 'sending');
-- What a reading may take back.
CREATE INDEX notification_deliveries_open ON notification_deliveries (user_id, conversation_id)
    WHERE what = 'digest' AND state IN ('pending', 'sending', 'sent');
-- What counts for a person's caps.
CREATE INDEX notification_deliveries_told ON notification_deliveries (user_id, channel, created_at)
    WHERE what = 'digest';
-- What a person has to look at.
CREATE INDEX notification_deliveries_dead ON notification_deliveries (delivery_id)
    WHERE state IN ('dead', 'unknown');
CREATE INDEX notification_deliveries_old ON notification_deliveries (updated_at)
    WHERE state NOT IN ('pending', 'sending');

-- Endpoints that their providers say are gone, until the account has removed them too.
CREATE TABLE dead_endpoints (
    at          timestamptz NOT NULL DEFAULT now(),
    user_id     text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    reason      text        NOT NULL,
    PRIMARY KEY (user_id, endpoint_id)
);
