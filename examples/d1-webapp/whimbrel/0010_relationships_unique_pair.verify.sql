-- A pair that is in the table more than once.
SELECT user_id, related_user_id, count(*) AS times
FROM relationships
GROUP BY user_id, related_user_id
HAVING count(*) > 1;

-- The index is missing, not unique, or covers only a part of the rows.
SELECT 'idx_relationships_unique_pair' AS faulty_index
WHERE NOT EXISTS (
  SELECT 1
  FROM pragma_index_list('relationships')
  WHERE name = 'idx_relationships_unique_pair' AND "unique" = 1 AND partial = 0
);
