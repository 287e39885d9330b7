-- The old backend's tables, empty. Few of its rules are in the database, so that odd rows could
-- get in.

CREATE TABLE users (
  id uuid PRIMARY KEY,
  email text NOT NULL UNIQUE,
  tier text CHECK (tier IN ('FREE', 'PRO', 'PRO_BYOK')),
  status text CHECK (status IN ('ACTIVE', 'CANCELED', 'PAST_DUE', 'TRIALING')),
  messages_used integer CHECK (messages_used BETWEEN 0 AND 500),
  created_at timestamp NOT NULL
);
CREATE TABLE file_metadata (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL,
  filename text,
  mime_type text NOT NULL,
  size_bytes bigint NOT NULL,
  state integer NOT NULL CHECK (state BETWEEN 0 AND 3),
  FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE TABLE document_chunks (
  id uuid PRIMARY KEY,
  file_id uuid NOT NULL REFERENCES file_metadata (id),
  chunk_index integer NOT NULL CHECK (chunk_index BETWEEN 0 AND 100000),
  content text NOT NULL,
  embedding real[],
  UNIQUE (file_id, chunk_index)
);
CREATE TABLE conversations (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users (id),
  title text,
  created_at timestamp NOT NULL
);
CREATE TABLE chat_messages (
  id uuid PRIMARY KEY,
  conversation_id uuid NOT NULL REFERENCES conversations (id),
  role text NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
  body text NOT NULL,
  created_at timestamp NOT NULL
);
CREATE TABLE oauth_tokens (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users (id),
  provider text NOT NULL CHECK (provider IN ('google', 'slack', 'notion')),
  access_token text NOT NULL,
  expires_at timestamp
);
CREATE TABLE usage_logs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users (id),
  action text NOT NULL CHECK (action IN ('upload', 'chat', 'export')),
  tokens integer,
  created_at timestamp NOT NULL
);
CREATE TABLE user_settings (
  user_id uuid PRIMARY KEY REFERENCES users (id),
  settings jsonb NOT NULL
);
