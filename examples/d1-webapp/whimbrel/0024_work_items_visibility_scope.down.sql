-- What was shared or withdrawn since goes back into the old column, which knows
-- two values only. Items of a quest or a squad become private: nobody shall see
-- more than the author meant.
UPDATE work_items
SET visibility = iif(visibility_scope = 'room', 'room', 'private')
WHERE visibility <> iif(visibility_scope = 'room', 'room', 'private');

DROP INDEX idx_work_items_visibility_scope;
ALTER TABLE work_items DROP COLUMN visibility_scope;
