-- Why: a delivery is claimed, then composed, then sent. Only an SMS that was really begun to be sent
-- must never be sent again; one whose process died before that is like any other.

ALTER TABLE notification_deliveries
    -- Of the attempt under way: the provider may have been asked.
    ADD COLUMN begun boolean NOT NULL DEFAULT false;

UPDATE notification_deliveries SET begun = true WHERE channel = 'sms' AND state = 'sending';
