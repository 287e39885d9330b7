CREATE TABLE media_asset (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  account_id uuid NOT NULL REFERENCES account_v2 (id) ON DELETE CASCADE,
  url text NOT NULL,
  processing_status text NOT NULL DEFAULT 'pending'
    CHECK (processing_status IN ('pending', 'processing', 'ready', 'failed'))
);

CREATE TABLE child_profile_v2 (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  account_id uuid NOT NULL REFERENCES account_v2 (id) ON DELETE CASCADE,
  avatar_id uuid REFERENCES media_asset (id) ON DELETE SET NULL,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 80),
  birth_year integer CHECK (birth_year BETWEEN 1990 AND 2030)
);
CREATE INDEX child_profile_v2_account_idx ON child_profile_v2 (account_id);
