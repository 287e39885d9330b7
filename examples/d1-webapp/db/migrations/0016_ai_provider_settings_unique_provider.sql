-- Migration number: 0016 	 2025-12-25T02:02:47.551Z
-- Purpose: AI provider configuration

-- Ticket 08 (AI Router).

-- Category: AI & Monitoring

CREATE TABLE ai_provider_settings (
  id TEXT PRIMARY KEY NOT NULL,
  provider TEXT NOT NULL CHECK (provider IN ('gemini', 'openai')),
  is_enabled INTEGER NOT NULL DEFAULT 1 CHECK (is_enabled IN (0, 1)),
  default_model TEXT NOT NULL,
  fallback_provider TEXT
    CHECK (fallback_provider IS NULL OR fallback_provider IN ('gemini', 'openai')),
  feature_routing_json TEXT NOT NULL DEFAULT '{}'
    CHECK (json_valid(feature_routing_json)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  CHECK (fallback_provider IS NULL OR fallback_provider <> provider)
);

CREATE UNIQUE INDEX idx_ai_provider_settings_provider
  ON ai_provider_settings (provider);
