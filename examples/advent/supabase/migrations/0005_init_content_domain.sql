CREATE TABLE surprise_collection_v2 (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  calendar_id uuid NOT NULL REFERENCES advent_calendar_v2 (id) ON DELETE CASCADE,
  title text NOT NULL
);

CREATE TABLE surprise_video (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  collection_id uuid NOT NULL REFERENCES surprise_collection_v2 (id) ON DELETE CASCADE,
  place integer NOT NULL CHECK (place > 0),
  url text NOT NULL,
  UNIQUE (collection_id, place)
);
