CREATE TABLE advent_calendar_v2 (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  child_id uuid NOT NULL REFERENCES child_profile_v2 (id) ON DELETE CASCADE,
  year integer NOT NULL,
  theme text NOT NULL DEFAULT 'plain',
  published_at timestamptz,
  is_locked boolean NOT NULL DEFAULT false,
  UNIQUE (child_id, year)
);

CREATE TABLE calendar_day_v2 (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  calendar_id uuid NOT NULL REFERENCES advent_calendar_v2 (id) ON DELETE CASCADE,
  day_number integer NOT NULL CHECK (day_number BETWEEN 1 AND 24),
  message text,
  opened_at timestamptz,
  UNIQUE (calendar_id, day_number)
);
