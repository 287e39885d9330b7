-- The three settings that the migration wrote go with the table.
DROP INDEX idx_system_settings_updated_by;
DROP TABLE system_settings;
