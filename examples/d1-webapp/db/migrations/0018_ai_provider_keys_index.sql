-- Migration number: 0018 	 2025-12-25T02:21:12.742Z
-- Purpose: API key lookup optimization

CREATE INDEX idx_ai_provider_keys_provider ON ai_provider_keys (provider);
