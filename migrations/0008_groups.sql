-- Why: groups and channels: who is in them and what each may see, their titles and timers, and who
-- blocks whom in a direct conversation.
--
-- What a person may see is kept with their member row as ranges of message numbers, so history, sync
-- and summaries ask one row and no log. Somebody who has left keeps the row; what they saw of the
-- conversation then is frozen in its left_* columns, and nothing of later is read for them.

ALTER TABLE conversations
    ADD COLUMN title         text,
    ADD COLUMN timer_seconds bigint NOT NULL DEFAULT 0,
    -- Who is in it now; not counted for a direct conversation.
    ADD COLUMN member_count  bigint NOT NULL DEFAULT 0,
    -- Of a direct conversation: those of the two who block the other.
    ADD COLUMN blocked_by    text[] COLLATE "C" NOT NULL DEFAULT '{}';

-- "Whom do I block?" Few rows are in it, and no ordinary update touches its column.
CREATE INDEX conversations_blocked ON conversations USING gin (blocked_by)
    WHERE blocked_by <> '{}';

ALTER TABLE members
    ADD COLUMN role                text NOT NULL DEFAULT 'member',
    -- Numbers of the messages that this person may see; of a direct conversation, all.
    ADD COLUMN visible             int8multirange NOT NULL DEFAULT '{[1,)}',
    -- Of the event that made them a member last; null in a direct conversation.
    ADD COLUMN joined_version      bigint,
    ADD COLUMN joined_position     bigint,
    ADD COLUMN joined_at           timestamptz,
    -- Position of the first time that they left, ever: what changed since then a device may lack.
    ADD COLUMN away_since          bigint,
    -- Of the event by which they left last; null while they are there.
    ADD COLUMN left_version        bigint,
    ADD COLUMN left_position       bigint,
    ADD COLUMN left_at             timestamptz,
    -- The last message of then, the title, how many remained.
    ADD COLUMN left_seq            bigint,
    ADD COLUMN left_title          text,
    ADD COLUMN left_member_count   bigint,
    -- What others may know of read_seq and delivered_seq: hidden moves are not in it.
    ADD COLUMN shown_read_seq      bigint NOT NULL DEFAULT 0,
    ADD COLUMN shown_delivered_seq bigint NOT NULL DEFAULT 0;

UPDATE members SET shown_read_seq = read_seq, shown_delivered_seq = delivered_seq;
