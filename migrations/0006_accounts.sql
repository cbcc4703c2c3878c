-- Why: the state of an account that commands decide on, what a device learns of its account when it
-- syncs, and whether a session's device is still linked, without reading the log.
--
-- One row an account, changed at most once a batch, in place (HOT); what the account holds has
-- tables of its own, devices first.

CREATE TABLE accounts (
    -- Stream sequence, in the account's shard, of the last event that changed this row.
    position bigint  NOT NULL,
    version  bigint  NOT NULL,
    shard    integer NOT NULL,
    -- An event of it is in dead_letters, so its state is not what the log says.
    damaged  boolean NOT NULL DEFAULT false,
    user_id  text COLLATE "C" PRIMARY KEY
) WITH (fillfactor = 80);

CREATE TABLE devices (
    -- Of the account event that linked or unlinked it last. A session that began with a version up
    -- to the one of an unlink, or below the one of a registration, is over.
    version       bigint NOT NULL,
    -- Null once unlinked: then the row only remembers that.
    registered_at timestamptz,
    user_id       text COLLATE "C" NOT NULL,
    device_id     text COLLATE "C" NOT NULL,
    platform      text,
    PRIMARY KEY (user_id, device_id)
) WITH (fillfactor = 80);
