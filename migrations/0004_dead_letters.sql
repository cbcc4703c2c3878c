-- Why: an event that cannot be applied must not stop the others, nor be lost. It is kept here as
-- it came, with the reason, for a person to look at; its conversation is marked as damaged.

CREATE TABLE dead_letters (
    position        bigint      NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    shard           integer     NOT NULL,
    subject         text        NOT NULL,
    -- Null if the subject names none.
    conversation_id text COLLATE "C",
    error           text        NOT NULL,
    payload         bytea       NOT NULL,
    PRIMARY KEY (shard, position)
);
