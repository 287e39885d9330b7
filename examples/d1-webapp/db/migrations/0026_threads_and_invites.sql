-- Migration number: 0026 	 2025-12-25T12:55:08.634Z
-- Purpose: Stranger 1-to-1 matching system (Ticket 10)

-- Category: Threads & Messages

CREATE TABLE threads (
  id TEXT PRIMARY KEY NOT NULL,
  user_id TEXT NOT NULL,
  workspace_id TEXT,
  title TEXT NOT NULL,
  description TEXT,
  status TEXT NOT NULL DEFAULT 'active'
    CHECK (status IN ('active', 'archived', 'deleted')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE CASCADE,
  FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE SET NULL
);

CREATE TABLE thread_invites (
  id TEXT PRIMARY KEY NOT NULL,
  thread_id TEXT NOT NULL,
  token TEXT NOT NULL UNIQUE CHECK (length(token) = 32),
  email TEXT NOT NULL,
  candidate_name TEXT NOT NULL,
  candidate_reason TEXT,
  status TEXT NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'accepted', 'declined', 'expired')),
  expires_at TEXT NOT NULL
    DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+72 hours')),
  accepted_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  FOREIGN KEY (thread_id) REFERENCES threads(id) ON DELETE CASCADE
);

CREATE TABLE thread_participants (
  id TEXT PRIMARY KEY NOT NULL,
  thread_id TEXT NOT NULL,
  user_id TEXT,
  email TEXT,
  role TEXT NOT NULL DEFAULT 'member'
    CHECK (role IN ('owner', 'member')),
  joined_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  FOREIGN KEY (thread_id) REFERENCES threads(id) ON DELETE CASCADE,
  FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE SET NULL
);

CREATE INDEX idx_threads_user_id ON threads (user_id);
CREATE INDEX idx_threads_workspace_id ON threads (workspace_id);
CREATE INDEX idx_threads_status ON threads (status);

CREATE INDEX idx_thread_invites_thread_id ON thread_invites (thread_id);
CREATE INDEX idx_thread_invites_token ON thread_invites (token);
CREATE INDEX idx_thread_invites_email ON thread_invites (email);
CREATE INDEX idx_thread_invites_status ON thread_invites (status);

CREATE INDEX idx_thread_participants_thread_id ON thread_participants (thread_id);
CREATE INDEX idx_thread_participants_user_id ON thread_participants (user_id);
CREATE INDEX idx_thread_participants_email ON thread_participants (email);
