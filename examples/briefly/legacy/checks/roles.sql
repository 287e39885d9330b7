-- Roles that the new application knows.
SELECT m.id, m.role FROM chat_messages m WHERE m.role NOT IN ('user', 'assistant', 'system');
