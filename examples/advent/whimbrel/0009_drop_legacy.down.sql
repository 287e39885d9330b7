-- The tables are made anew; their rows come back from what `up` has kept.

CREATE TABLE account (
  id uuid PRIMARY KEY,
  email text NOT NULL,
  display_name text,
  created_at timestamptz NOT NULL
);
CREATE TABLE child (
  id uuid PRIMARY KEY,
  account_id uuid NOT NULL REFERENCES account (id),
  name text NOT NULL,
  birth_year integer
);
CREATE TABLE calendar (
  id uuid PRIMARY KEY,
  child_id uuid NOT NULL REFERENCES child (id),
  year integer NOT NULL,
  theme text,
  is_published boolean NOT NULL DEFAULT false
);
CREATE TABLE calendar_day (
  id uuid PRIMARY KEY,
  calendar_id uuid NOT NULL REFERENCES calendar (id),
  day integer NOT NULL,
  message text,
  opened_at timestamptz
);
CREATE TABLE chat_record (
  id uuid PRIMARY KEY,
  child_id uuid NOT NULL REFERENCES child (id),
  started_at timestamptz NOT NULL
);
CREATE TABLE chat_message (
  id uuid PRIMARY KEY,
  record_id uuid NOT NULL REFERENCES chat_record (id),
  role text NOT NULL,
  content text NOT NULL,
  created_at timestamptz NOT NULL
);
CREATE TABLE surprise_config (
  id uuid PRIMARY KEY,
  calendar_id uuid NOT NULL REFERENCES calendar (id),
  title text,
  video_urls jsonb NOT NULL DEFAULT '[]'
);
CREATE TABLE analytics_event (
  id bigserial PRIMARY KEY,
  account_id uuid,
  event_type text NOT NULL,
  payload jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL
);
