-- Migration number: 0014 	 2025-11-24T14:05:40.336Z
-- Purpose: Bulk import tracking

-- Category: Admin

CREATE TABLE admin_import_sessions (
  id TEXT PRIMARY KEY NOT NULL,
  admin_user_id TEXT NOT NULL,
  target_table TEXT NOT NULL
    CHECK (target_table IN ('users', 'workspaces', 'work_items', 'relationships')),
  file_name TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'running', 'completed', 'failed', 'cancelled')),
  total_rows INTEGER NOT NULL DEFAULT 0 CHECK (total_rows >= 0),
  imported_rows INTEGER NOT NULL DEFAULT 0
    CHECK (imported_rows BETWEEN 0 AND total_rows),
  started_at TEXT,
  finished_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  FOREIGN KEY (admin_user_id) REFERENCES admin_users(id) ON DELETE RESTRICT
);

CREATE TABLE admin_import_errors (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL,
  row_number INTEGER NOT NULL CHECK (row_number >= 1),
  column_name TEXT,
  error_code TEXT NOT NULL,
  error_message TEXT NOT NULL,
  raw_row TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  FOREIGN KEY (session_id) REFERENCES admin_import_sessions(id) ON DELETE CASCADE
);

CREATE INDEX idx_admin_import_sessions_admin_user_id
  ON admin_import_sessions (admin_user_id);
CREATE INDEX idx_admin_import_sessions_status ON admin_import_sessions (status);
CREATE INDEX idx_admin_import_errors_session_id
  ON admin_import_errors (session_id, row_number);
