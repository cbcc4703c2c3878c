-- Why: how far into each shard of the log the views reach. The position is compared and set in the
-- transaction that writes a batch, so every event is in the views exactly once, and two projectors
-- of one shard cannot both write. It never goes back: whoever reads a view may rely on that.

CREATE TABLE checkpoints (
    position   bigint      NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    shard      integer     PRIMARY KEY
) WITH (fillfactor = 50);
