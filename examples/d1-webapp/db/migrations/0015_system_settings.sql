-- Migration number: 0015 	 2025-12-25T01:10:04.129Z
-- Purpose: System configuration

-- Category: Admin

CREATE TABLE system_settings (
  key TEXT PRIMARY KEY NOT NULL CHECK (key = lower(key) AND length(key) > 0),
  value TEXT NOT NULL,
  value_type TEXT NOT NULL DEFAULT 'string'
    CHECK (value_type IN ('string', 'number', 'boolean', 'json')),
  description TEXT,
  updated_by TEXT,
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  FOREIGN KEY (updated_by) REFERENCES admin_users(id) ON DELETE SET NULL
);

CREATE INDEX idx_system_settings_updated_by ON system_settings (updated_by);

INSERT INTO system_settings (key, value, value_type, description) VALUES
  ('maintenance_mode', 'false', 'boolean', 'Answer every request with the maintenance page'),
  ('max_ai_cost_per_user_daily', '0.50', 'number', 'US dollars; requests above it are refused'),
  ('default_rate_limit', '60', 'number', 'Requests per minute and user');
