DROP INDEX idx_list_members_delivery_preference;
ALTER TABLE list_members DROP COLUMN delivery_preference;
