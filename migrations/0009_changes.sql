-- Why: what happens to a message after it was sent: edits, deletion, reactions, expiry; and what has
-- to be erased from the log itself once it is deleted.

-- Forgotten with the body: of a deleted message nothing is kept that was made from what it said.
ALTER TABLE messages ALTER COLUMN fingerprint DROP NOT NULL;
-- Hash of what it says now, if it was edited: the same edit again changes nothing.
ALTER TABLE messages ADD COLUMN edited_fingerprint bigint;
-- A message that was erased from the log before these views were built has no position of its own:
-- it gets that of the message before it, so that positions still grow with the numbers.
COMMENT ON COLUMN messages.position IS
    'of the event that sent it; of a tombstone without that event, the position before it';

-- What expires, soonest first; a message without a timer costs it nothing.
CREATE INDEX messages_expiring ON messages (expires_at)
    WHERE expires_at IS NOT NULL AND deleted_at IS NULL;

-- One row a person and emoji. A message with rows here has a changed_position.
CREATE TABLE reactions (
    -- Of the event that added it: emoji and people are shown in the order in which they came.
    position         bigint NOT NULL,
    conversation_seq bigint NOT NULL,
    conversation_id  text COLLATE "C" NOT NULL,
    user_id          text COLLATE "C" NOT NULL,
    emoji            text COLLATE "C" NOT NULL,
    PRIMARY KEY (conversation_id, conversation_seq, emoji, user_id)
);

-- Where in the log a message's edits are, to be erased with it.
CREATE TABLE edits (
    position         bigint NOT NULL,
    conversation_seq bigint NOT NULL,
    conversation_id  text COLLATE "C" NOT NULL,
    PRIMARY KEY (conversation_id, conversation_seq, position)
);

-- Deleted messages whose events are still in the log. A row is made with the deletion, in its
-- transaction, and goes when the log has nothing of the message any more; so it is what is left to
-- do, whoever is killed when.
CREATE TABLE erasures (
    conversation_seq bigint      NOT NULL,
    deleted_at       timestamptz NOT NULL,
    shard            integer     NOT NULL,
    conversation_id  text COLLATE "C" NOT NULL,
    -- Something else is at its position: it stays for a person to look at.
    failure          text,
    PRIMARY KEY (conversation_id, conversation_seq)
);
CREATE INDEX erasures_by_age ON erasures (shard, deleted_at);

-- Legal holds: while one stands, nothing of the conversation is erased from the log. Operators
-- write it, not the log; rows are kept when a hold is lifted.
CREATE TABLE holds (
    hold_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    placed_at       timestamptz NOT NULL DEFAULT now(),
    lifted_at       timestamptz,
    conversation_id text COLLATE "C" NOT NULL,
    placed_by       text NOT NULL,
    reason          text NOT NULL,
    lifted_by       text,
    lifted_reason   text
);
CREATE INDEX holds_standing ON holds (conversation_id) WHERE lifted_at IS NULL;
