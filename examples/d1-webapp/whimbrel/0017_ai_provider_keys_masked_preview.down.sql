DROP TABLE ai_provider_keys;
