-- No SQL can know the duplicates that the migration deleted: they come back from
-- what Whimbrel kept of them, and only once this index is gone.
DROP INDEX idx_relationships_unique_pair;
