-- Why: files of messages. What is in them is in a store of files, not here and not in the log; the log
-- says which message has which file.

-- Every file that somebody may upload, or has. Gateways write it, not the log: it is no copy.
CREATE TABLE attachments (
    created_at        timestamptz NOT NULL DEFAULT now(),
    -- All of it is in the store.
    uploaded_at       timestamptz,
    -- A message was about to be sent with it.
    claimed_at        timestamptz,
    -- The message was erased from the log; the file follows.
    erased_at         timestamptz,
    size_bytes        bigint NOT NULL,
    -- A UUIDv7, so these are in the order of their making.
    attachment_id     uuid PRIMARY KEY,
    uploader_id       text COLLATE "C" NOT NULL,
    conversation_id   text COLLATE "C" NOT NULL,
    file_name         text NOT NULL,
    content_type      text NOT NULL,
    -- Of that message: no other one may have the file.
    client_message_id text COLLATE "C"
);
CREATE INDEX attachments_erased ON attachments (erased_at) WHERE erased_at IS NOT NULL;

-- Which message has a file. A row goes when its message is erased from the log, not when it is
-- deleted: until then it says what to remove.
CREATE TABLE attachment_uses (
    conversation_seq bigint NOT NULL,
    attachment_id    uuid   NOT NULL,
    conversation_id  text COLLATE "C" NOT NULL,
    PRIMARY KEY (conversation_id, conversation_seq, attachment_id)
);
CREATE INDEX attachment_uses_of ON attachment_uses (attachment_id);
