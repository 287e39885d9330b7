-- Migration number: 0008 	 2025-11-03T10:12:33.450Z
-- Purpose: Friend request system

-- 0007 was withdrawn before it was applied anywhere; its number stays unused.

-- Category: Relationships

CREATE TABLE relationship_requests (
  id TEXT PRIMARY KEY NOT NULL,
  requester_id TEXT NOT NULL,
  recipient_id TEXT NOT NULL,
  message TEXT,
  status TEXT NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'accepted', 'declined', 'cancelled')),
  responded_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CHECK (requester_id <> recipient_id),
  CHECK (status = 'pending' OR responded_at IS NOT NULL),
  FOREIGN KEY (requester_id) REFERENCES users(id) ON DELETE CASCADE,
  FOREIGN KEY (recipient_id) REFERENCES users(id) ON DELETE CASCADE
);

-- Nobody may ask the same person twice while the first question is open.
CREATE UNIQUE INDEX idx_relationship_requests_one_pending
  ON relationship_requests (requester_id, recipient_id)
  WHERE status = 'pending';
CREATE INDEX idx_relationship_requests_recipient_id
  ON relationship_requests (recipient_id, status);
