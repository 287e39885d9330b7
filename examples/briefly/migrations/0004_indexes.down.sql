DROP INDEX file_metadata_user_idx;
DROP INDEX conversations_user_idx;
DROP INDEX chat_messages_conversation_idx;
DROP INDEX usage_logs_user_idx;
