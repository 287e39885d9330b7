-- Whose user is gone.
SELECT t.id, t.user_id, t.provider FROM oauth_tokens t
WHERE NOT EXISTS (SELECT 1 FROM users u WHERE u.id = t.user_id);
