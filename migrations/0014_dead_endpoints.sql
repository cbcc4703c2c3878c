-- Why: an endpoint that its provider says is gone is to leave the account. The table is the queue of
-- what is still to be removed; a row goes once the views have lost the endpoint.

ALTER TABLE dead_endpoints
    -- When to ask the account's owner; while somebody asks: when that one counts as dead.
    ADD COLUMN next_at  timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN attempts integer     NOT NULL DEFAULT 0;
CREATE INDEX dead_endpoints_due ON dead_endpoints (next_at);
