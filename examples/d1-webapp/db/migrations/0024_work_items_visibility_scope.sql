-- Migration number: 0024 	 2025-12-25T08:15:37.963Z
-- Purpose: Enhanced visibility control (Ticket 07)

-- visibility_scope replaces visibility. The old column stays until no deployed
-- version of the application reads it.
ALTER TABLE work_items ADD COLUMN visibility_scope TEXT NOT NULL DEFAULT 'private'
  CHECK (visibility_scope IN ('private', 'room', 'quest', 'squad'));

UPDATE work_items
SET visibility_scope = visibility
WHERE visibility_scope <> visibility;

CREATE INDEX idx_work_items_visibility_scope
  ON work_items (workspace_id, visibility_scope);
