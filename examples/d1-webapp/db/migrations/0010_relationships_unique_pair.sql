-- Migration number: 0010 	 2025-11-07T09:26:55.815Z
-- Purpose: Fix relationship duplicates

-- Two requests accepted at the same moment left the same pair in the table
-- twice. The oldest row of each pair stays; of two equally old ones, the one
-- with the smaller id.
DELETE FROM relationships
WHERE id IN (
  SELECT id
  FROM (
    SELECT
      id,
      row_number() OVER (
        PARTITION BY user_id, related_user_id
        ORDER BY created_at, id
      ) AS place
    FROM relationships
  ) AS ranked
  WHERE place > 1
);

CREATE UNIQUE INDEX idx_relationships_unique_pair
  ON relationships (user_id, related_user_id);
