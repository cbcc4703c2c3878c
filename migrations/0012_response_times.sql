-- Why: how fast somebody answers, for those who write to them. It is computed from their last
-- messages now and then, so reading it costs a row.
--
-- Not a view: it depends on when it was computed. Without it, it is computed again.

CREATE TABLE response_times (
    computed_at    timestamptz NOT NULL,
    -- Null as long as there are too few of them.
    median_seconds bigint,
    replies        bigint NOT NULL,
    user_id        text COLLATE "C" PRIMARY KEY
) WITH (fillfactor = 80);
