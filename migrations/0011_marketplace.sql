-- Why: what the marketplace says in a conversation, and what follows from it: a card can be trusted
-- if a backend service sent it, and who has an order may exchange contact details.

ALTER TABLE messages ADD COLUMN by_service boolean NOT NULL DEFAULT false;
-- A backend service has posted an order; it stays so.
ALTER TABLE conversations ADD COLUMN has_order boolean NOT NULL DEFAULT false;
