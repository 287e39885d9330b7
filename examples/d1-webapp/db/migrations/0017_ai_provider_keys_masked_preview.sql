-- Migration number: 0017 	 2025-12-25T02:19:30.006Z
-- Purpose: API key management

-- The key itself is encrypted by the application. masked_preview is what the
-- admin page shows: the first and last characters, such as sk-...abcd.

-- Category: AI & Monitoring

CREATE TABLE ai_provider_keys (
  id TEXT PRIMARY KEY NOT NULL,
  provider TEXT NOT NULL CHECK (provider IN ('gemini', 'openai')),
  label TEXT NOT NULL,
  encrypted_key TEXT NOT NULL,
  masked_preview TEXT NOT NULL CHECK (length(masked_preview) BETWEEN 7 AND 16),
  status TEXT NOT NULL DEFAULT 'active'
    CHECK (status IN ('active', 'revoked')),
  created_by TEXT,
  last_used_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  UNIQUE (provider, label),
  FOREIGN KEY (provider) REFERENCES ai_provider_settings(provider) ON DELETE RESTRICT,
  FOREIGN KEY (created_by) REFERENCES admin_users(id) ON DELETE SET NULL
);
