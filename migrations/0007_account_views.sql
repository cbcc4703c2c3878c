-- Why: what else an account holds: the state that commands decide on, what its devices learn when
-- they sync, the inbox's order and marks, and what the notifier has to know of somebody who is away.
--
-- A person's rows are bounded by what the account's commands allow.

CREATE TABLE contacts (
    added_at   timestamptz NOT NULL,
    user_id    text COLLATE "C" NOT NULL,
    contact_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, contact_id)
);

CREATE TABLE account_settings (
    version  bigint NOT NULL,
    user_id  text COLLATE "C" PRIMARY KEY,
    -- As the contract writes them. No row: the defaults.
    settings jsonb  NOT NULL
) WITH (fillfactor = 80);

-- What a person did to their own view of a conversation. A row stays when everything is taken back:
-- devices that sync later have to learn that.
CREATE TABLE conversation_marks (
    version              bigint  NOT NULL,
    -- Stream sequence, in the account's shard, of the last event that changed this row.
    position             bigint  NOT NULL,
    -- Archived while the conversation's last_seq is not beyond it; null if it is not.
    archived_through_seq bigint,
    -- Of a channel's reader: their own watermark. It only grows.
    read_through_seq     bigint,
    -- Of the last event about the draft; null if there never was one.
    draft_version        bigint,
    -- While muted: null if it does not end by itself.
    muted_until          timestamptz,
    -- By the device's clock, of the draft or of its clearing.
    draft_saved_at       timestamptz,
    muted                boolean NOT NULL DEFAULT false,
    pinned               boolean NOT NULL DEFAULT false,
    user_id              text COLLATE "C" NOT NULL,
    conversation_id      text COLLATE "C" NOT NULL,
    draft                text,
    PRIMARY KEY (user_id, conversation_id)
) WITH (fillfactor = 80);

CREATE TABLE notification_endpoints (
    added_at    timestamptz NOT NULL,
    user_id     text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    -- email, sms, webpush or webhook.
    channel     text NOT NULL,
    -- A string, or for webpush the browser's subscription {endpoint, keys: {p256dh, auth}}.
    address     jsonb NOT NULL,
    -- pending or verified.
    state       text NOT NULL,
    PRIMARY KEY (user_id, endpoint_id)
);
