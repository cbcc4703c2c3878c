-- Why: history. One row a message, whoever reads it; the primary key is the only index that a new
-- message enters.

CREATE TABLE messages (
    conversation_seq  bigint      NOT NULL,
    -- Of the event that sent it: what a retry of the command is answered.
    version           bigint      NOT NULL,
    -- Stream sequence of the event that sent it.
    position          bigint      NOT NULL,
    -- Stream sequence of the last event that changed it afterwards; null if none did.
    changed_position  bigint,
    -- Hash of the body, in its 64 bits; kept when the body is erased, to recognise a retry.
    fingerprint       bigint      NOT NULL,
    created_at        timestamptz NOT NULL,
    message_id        uuid        NOT NULL,
    reply_to          bigint,
    edited_at         timestamptz,
    deleted_at        timestamptz,
    expires_at        timestamptz,
    conversation_id   text COLLATE "C" NOT NULL,
    sender_id         text COLLATE "C" NOT NULL,
    client_message_id text COLLATE "C" NOT NULL,
    -- Null once erased.
    body              jsonb,
    PRIMARY KEY (conversation_id, conversation_seq)
);

-- Few messages are ever changed or deleted: these hold only those, and cost a new message nothing.
CREATE INDEX messages_changed ON messages (conversation_id, changed_position)
    WHERE changed_position IS NOT NULL;
CREATE INDEX messages_deleted ON messages (conversation_id, conversation_seq)
    WHERE deleted_at IS NOT NULL;

-- The first message of a conversation that was sent after a position; `newest` + 1 if none was.
--
-- Within a conversation, positions grow with the numbers, so the primary key is enough to find it:
-- doubling steps back from the newest, then halves. That spares each message a second index.
CREATE FUNCTION first_seq_after(conversation text, newest bigint, after bigint) RETURNS bigint
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
    older     bigint := 0;          -- what is up to here was sent at or before `after`
    newer     bigint := newest + 1; -- what is from here on was sent after it
    stride    bigint := 1;
    galloping boolean := true;
    middle    bigint;
    found_seq bigint;
    found_at  bigint;
BEGIN
    WHILE newer - older > 1 LOOP
        IF galloping THEN
            middle := GREATEST(newer - stride, older + 1);
            stride := stride * 2;
        ELSE
            middle := older + (newer - older) / 2;
        END IF;
        -- The nearest at or below: a message that could not be applied has left its number empty.
        SELECT m.conversation_seq, m.position INTO found_seq, found_at
        FROM messages m
        WHERE m.conversation_id = conversation COLLATE "C"
            AND m.conversation_seq <= middle AND m.conversation_seq > older
        ORDER BY m.conversation_seq DESC
        LIMIT 1;
        IF found_seq IS NULL OR found_at <= after THEN
            older := middle;
            galloping := false;
        ELSE
            newer := found_seq;
        END IF;
    END LOOP;
    RETURN newer;
END
$$;
