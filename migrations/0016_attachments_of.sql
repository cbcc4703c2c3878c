-- Why: how much somebody has reserved within a day is asked before they reserve more.
CREATE INDEX attachments_of ON attachments (uploader_id, created_at) INCLUDE (size_bytes);
