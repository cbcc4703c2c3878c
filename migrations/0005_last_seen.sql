-- Why: when somebody was last connected, for those who talk with them, after every gateway that
-- knew it has been restarted.
--
-- Not a view: the log does not have it, so it cannot be built again from there. Gateways write it in
-- batches; it lags behind by seconds and is only ever moved forward.

CREATE TABLE last_seen (
    last_seen_at timestamptz NOT NULL,
    user_id      text COLLATE "C" PRIMARY KEY
) WITH (fillfactor = 80);
