CREATE TABLE account_v2 (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  email text NOT NULL UNIQUE,
  display_name text NOT NULL,
  auth_provider text NOT NULL DEFAULT 'email' CHECK (auth_provider IN ('email', 'google', 'apple')),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE account_session (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  account_id uuid NOT NULL REFERENCES account_v2 (id) ON DELETE CASCADE,
  ip_address inet,
  expires_at timestamptz NOT NULL
);
