-- Migration number: 0021 	 2025-12-25T05:33:26.418Z
-- Purpose: Email notification preferences

ALTER TABLE list_members ADD COLUMN delivery_preference TEXT NOT NULL DEFAULT 'instant'
  CHECK (delivery_preference IN ('instant', 'daily_digest', 'none'));

CREATE INDEX idx_list_members_delivery_preference
  ON list_members (delivery_preference)
  WHERE delivery_preference <> 'none';
