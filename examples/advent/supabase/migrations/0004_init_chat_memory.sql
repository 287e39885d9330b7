CREATE TABLE chat_session_v2 (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  child_id uuid NOT NULL REFERENCES child_profile_v2 (id) ON DELETE CASCADE,
  started_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);

CREATE TABLE chat_message_v2 (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  session_id uuid NOT NULL REFERENCES chat_session_v2 (id) ON DELETE CASCADE,
  role text NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
  content text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE INDEX chat_message_v2_session_idx ON chat_message_v2 (session_id, created_at);

-- Short-term memory, which runs out.
CREATE TABLE memory_fragment (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  session_id uuid NOT NULL REFERENCES chat_session_v2 (id) ON DELETE CASCADE,
  content text NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX memory_fragment_expires_idx ON memory_fragment (expires_at);

-- Long-term memory, found by likeness.
CREATE TABLE memory_embedding (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  child_id uuid NOT NULL REFERENCES child_profile_v2 (id) ON DELETE CASCADE,
  content text NOT NULL
);

-- The vectors need pgvector. Where the server does not have it, the table stays without them:
-- install it, then add the column by a migration of its own.
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') THEN
    CREATE EXTENSION IF NOT EXISTS vector;
    ALTER TABLE memory_embedding ADD COLUMN embedding vector(384);
  ELSE
    RAISE NOTICE 'pgvector is not installed: memory_embedding has no vectors';
  END IF;
END $$;
