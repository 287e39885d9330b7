-- whimbrel: purpose="Chat history of logged-in users"

CREATE TABLE chats (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  user_id UUID NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  query TEXT NOT NULL,
  response TEXT NOT NULL,
  metadata JSONB,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
);

CREATE INDEX idx_chats_user_id ON chats (user_id);
CREATE INDEX idx_chats_created_at ON chats (created_at);

COMMENT ON TABLE chats IS 'Chat history of logged-in users; goes with the account';
COMMENT ON COLUMN chats.query IS 'The user''s question';
COMMENT ON COLUMN chats.response IS 'The answer that was shown';
COMMENT ON COLUMN chats.metadata IS 'Additional context';
