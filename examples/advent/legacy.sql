-- The database as the application left it: 8 tables, filled with made-up rows. Load it only to
-- try the example out. Some rows are broken on purpose; they stand at the end.

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

-- How many: accounts, children (one calendar of 24 days each), chat messages, events.
CREATE TEMPORARY TABLE sizes AS
  SELECT 1000 AS accounts, 2000 AS children, 50000 AS messages, 200000 AS events;

-- The same number gives the same id in every run.
CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
  AS $$ SELECT md5(kind || n)::uuid $$;

INSERT INTO account
  SELECT pg_temp.id('account', n), 'parent' || n || '@example.com',
    CASE WHEN n % 7 = 0 THEN NULL ELSE 'Zoë ' || n END, timestamptz '2024-10-01' + n * interval '1 hour'
  FROM sizes, generate_series(1, accounts) n;
INSERT INTO child
  SELECT pg_temp.id('child', n), pg_temp.id('account', 1 + n % accounts), 'Child ' || n,
    CASE WHEN n % 5 = 0 THEN NULL ELSE 2014 + n % 9 END
  FROM sizes, generate_series(1, children) n;
INSERT INTO calendar
  SELECT pg_temp.id('calendar', n), pg_temp.id('child', n), 2024, (ARRAY['snow', 'forest', NULL])[1 + n % 3],
    n % 2 = 0
  FROM sizes, generate_series(1, children) n;
INSERT INTO calendar_day
  SELECT pg_temp.id('day', n * 24 + day), pg_temp.id('calendar', n), day, 'Door ' || day,
    CASE WHEN day < 12 THEN timestamptz '2024-12-01' + day * interval '1 day' END
  FROM sizes, generate_series(1, children) n, generate_series(1, 24) day;
INSERT INTO chat_record
  SELECT pg_temp.id('record', n), pg_temp.id('child', n), timestamptz '2024-12-01' + n * interval '1 minute'
  FROM sizes, generate_series(1, children) n;
INSERT INTO chat_message
  SELECT pg_temp.id('message', n), pg_temp.id('record', 1 + n % children),
    CASE WHEN n % 2 = 0 THEN 'user' ELSE 'assistant' END, 'Message ' || n,
    timestamptz '2024-12-01' + n * interval '1 second'
  FROM sizes, generate_series(1, messages) n;
INSERT INTO surprise_config
  SELECT pg_temp.id('surprise', n), pg_temp.id('calendar', n), CASE WHEN n % 4 = 0 THEN NULL ELSE 'Surprise ' || n END,
    (SELECT coalesce(jsonb_agg('https://example.com/v/' || n || '-' || v), '[]') FROM generate_series(1, n % 4) v)
  FROM sizes, generate_series(1, children) n;
INSERT INTO analytics_event (account_id, event_type, payload, created_at)
  SELECT pg_temp.id('account', 1 + n % accounts),
    (ARRAY['calendar_viewed', 'calendar_shared', 'day_opened', 'chat_started', 'streak', 'heartbeat'])[1 + n % 6],
    jsonb_build_object('calendar_id', pg_temp.id('calendar', 1 + n % children), 'day', 1 + n % 24,
      'messages', n % 20, 'score', n % 100),
    timestamptz '2024-12-01' + n * interval '1 second'
  FROM sizes, generate_series(1, events) n;

-- Broken on purpose.
INSERT INTO account VALUES (pg_temp.id('account', 0), 'no address', 'Nobody', '2024-10-01');
UPDATE chat_message SET role = 'robot' WHERE id IN (pg_temp.id('message', 8), pg_temp.id('message', 9));
UPDATE calendar_day SET day = 25 WHERE id = pg_temp.id('day', 24 + 24);
INSERT INTO analytics_event (event_type, created_at) VALUES ('mystery', '2024-12-24');
