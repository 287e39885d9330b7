-- Migration number: 0009 	 2025-11-05T13:47:18.092Z
-- Purpose: Log aggregation for analytics

-- Category: AI & Monitoring

CREATE TABLE daily_log_summaries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  day TEXT NOT NULL CHECK (day = date(day)),
  source TEXT NOT NULL CHECK (source IN ('audit', 'ai_usage', 'inbox')),
  workspace_id TEXT,
  event_count INTEGER NOT NULL DEFAULT 0 CHECK (event_count >= 0),
  error_count INTEGER NOT NULL DEFAULT 0
    CHECK (error_count BETWEEN 0 AND event_count),
  total_cost_usd REAL NOT NULL DEFAULT 0,
  generated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE
);

-- workspace_id is NULL for the sum over all workspaces, and NULLs are distinct
-- in a plain unique constraint.
CREATE UNIQUE INDEX idx_daily_log_summaries_day_source
  ON daily_log_summaries (day, source, coalesce(workspace_id, ''));
CREATE INDEX idx_daily_log_summaries_workspace_id ON daily_log_summaries (workspace_id);
