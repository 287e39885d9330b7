-- Rows as the old backend had them: an address that is none, a file without a name, a message
-- of a role that is not known any more, and a token of a user that is gone.
INSERT INTO users VALUES
  ('00000000-0000-4000-8000-000000000001', 'nobody at example.com', 'FREE', 'ACTIVE', 0, '2025-01-01');
INSERT INTO file_metadata
  SELECT '00000000-0000-4000-8000-000000000002', id, NULL, 'text/plain', 10, 2
  FROM users WHERE email LIKE '%@%' ORDER BY id LIMIT 1;
ALTER TABLE chat_messages DROP CONSTRAINT chat_messages_role_check;
INSERT INTO chat_messages
  SELECT '00000000-0000-4000-8000-000000000003', id, 'tool', 'ls', '2025-01-01'
  FROM conversations ORDER BY id LIMIT 1;
ALTER TABLE oauth_tokens DROP CONSTRAINT oauth_tokens_user_id_fkey;
INSERT INTO oauth_tokens (user_id, provider, access_token)
  VALUES ('00000000-0000-4000-8000-000000000004', 'slack', 'not a real token');
