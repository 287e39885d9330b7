-- whimbrel: purpose="The old backend's rows into the new tables"
-- whimbrel: source=legacy on-error=quarantine errors-max=50

INSERT INTO users (id, email, subscription_tier, subscription_status, usage_messages, created_at)
SELECT u.id, u.email, coalesce(lower(u.tier), 'free'), coalesce(lower(u.status), 'active'),
  coalesce(u.messages_used, 0), u.created_at AT TIME ZONE 'UTC'
FROM users u;

INSERT INTO file_metadata (id, user_id, filename, mime_type, size_bytes, processing_status)
SELECT f.id, f.user_id, f.filename, f.mime_type, f.size_bytes,
  (ARRAY['pending', 'processing', 'completed', 'failed'])[f.state + 1]
FROM file_metadata f;

INSERT INTO document_chunks (id, file_id, chunk_index, content, embedding)
SELECT c.id, c.file_id, c.chunk_index, c.content, c.embedding FROM document_chunks c;

INSERT INTO conversations (id, user_id, title, created_at)
SELECT c.id, c.user_id, coalesce(c.title, 'Untitled'), c.created_at AT TIME ZONE 'UTC'
FROM conversations c;

INSERT INTO chat_messages (id, conversation_id, role, content, created_at)
SELECT m.id, m.conversation_id, m.role, m.body, m.created_at AT TIME ZONE 'UTC'
FROM chat_messages m;

INSERT INTO oauth_tokens (id, user_id, provider, access_token, expires_at)
SELECT t.id, t.user_id, t.provider, t.access_token, t.expires_at AT TIME ZONE 'UTC'
FROM oauth_tokens t;

INSERT INTO usage_logs (id, user_id, action, tokens, created_at)
SELECT l.id, l.user_id, l.action, coalesce(l.tokens, 0), l.created_at AT TIME ZONE 'UTC'
FROM usage_logs l;

INSERT INTO user_settings (user_id, settings)
SELECT s.user_id, s.settings FROM user_settings s;
