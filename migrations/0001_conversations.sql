-- Why: the inbox, and the state of a conversation that commands decide on, without reading the log.
--
-- One row a conversation and one a member, changed at most once a batch of events whatever its
-- size. No index covers a column that changes, and a fifth of each page stays free, so that these
-- updates stay on their page and touch no index (HOT).
-- Ids compare by byte (COLLATE "C"), as they do in the log and in the program.

CREATE TABLE conversations (
    -- Stream sequence, in the conversation's shard, of the last event that changed this row.
    position        bigint      NOT NULL,
    version         bigint      NOT NULL,
    last_seq        bigint      NOT NULL,
    -- Of the first event.
    created_at      timestamptz NOT NULL,
    -- Of the last event of any kind.
    updated_at      timestamptz NOT NULL,
    last_message_at timestamptz,
    shard           integer     NOT NULL,
    -- An event of it is in dead_letters, so its state is not what the log says.
    damaged         boolean     NOT NULL DEFAULT false,
    kind            text        NOT NULL,
    conversation_id text COLLATE "C" PRIMARY KEY
) WITH (fillfactor = 80);

CREATE TABLE members (
    -- Both only grow, and read_seq <= delivered_seq. A message moves its sender's cursors to
    -- itself, so what is behind one's read_seq was always written by others.
    read_seq        bigint NOT NULL,
    delivered_seq   bigint NOT NULL,
    conversation_id text COLLATE "C" NOT NULL,
    user_id         text COLLATE "C" NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 80);

-- A person's conversations, in the order in which sync gives them.
CREATE INDEX members_by_user ON members (user_id, conversation_id);
