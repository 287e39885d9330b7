CREATE TABLE calendar_analytics (
  event_id bigint PRIMARY KEY,
  account_id uuid REFERENCES account_v2 (id) ON DELETE SET NULL,
  calendar_id uuid,
  event text NOT NULL CHECK (event IN ('calendar_viewed', 'calendar_shared', 'calendar_published')),
  created_at timestamptz NOT NULL
);

CREATE TABLE day_analytics (
  event_id bigint PRIMARY KEY,
  account_id uuid REFERENCES account_v2 (id) ON DELETE SET NULL,
  calendar_id uuid,
  day_number integer NOT NULL CHECK (day_number BETWEEN 1 AND 24),
  opened_at timestamptz NOT NULL
);

CREATE TABLE chat_analytics (
  event_id bigint PRIMARY KEY,
  account_id uuid REFERENCES account_v2 (id) ON DELETE SET NULL,
  messages integer NOT NULL CHECK (messages >= 0),
  created_at timestamptz NOT NULL
);

CREATE TABLE user_engagement (
  event_id bigint PRIMARY KEY,
  account_id uuid REFERENCES account_v2 (id) ON DELETE SET NULL,
  score integer NOT NULL CHECK (score BETWEEN 0 AND 100),
  created_at timestamptz NOT NULL
);
