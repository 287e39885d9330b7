CREATE INDEX file_metadata_user_idx ON file_metadata (user_id);
CREATE INDEX conversations_user_idx ON conversations (user_id);
CREATE INDEX chat_messages_conversation_idx ON chat_messages (conversation_id, created_at);
CREATE INDEX usage_logs_user_idx ON usage_logs (user_id, created_at);
