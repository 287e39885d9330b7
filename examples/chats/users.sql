-- The table of the application, as it exists before the first migration. The
-- application makes it by itself; load this file only to try the example out.

CREATE TABLE users (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
  name TEXT NOT NULL,
  email TEXT NOT NULL UNIQUE,
  hashed_password TEXT NOT NULL,
  software_experience TEXT NOT NULL,
  hardware_experience TEXT NOT NULL
);

INSERT INTO users (id, name, email, hashed_password, software_experience, hardware_experience) VALUES
  ('8d5f1a52-34c1-4f0e-9a55-0f6f4f0a7c01', 'Ada Lovelace', 'ada@example.com', 'not-a-real-hash-1', 'advanced', 'none'),
  ('8d5f1a52-34c1-4f0e-9a55-0f6f4f0a7c02', 'José O''Brien', 'jose@example.com', 'not-a-real-hash-2', 'beginner', 'hobby'),
  ('8d5f1a52-34c1-4f0e-9a55-0f6f4f0a7c03', '佐藤花子', 'hanako@example.com', 'not-a-real-hash-3', 'intermediate', 'professional');
