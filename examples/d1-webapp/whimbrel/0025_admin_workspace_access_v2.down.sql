-- The access levels follow from the roles, and the policies were derived from
-- the members: what the migration itself wrote is not lost by dropping it.
ALTER TABLE workspace_members DROP COLUMN access_level;

DROP INDEX idx_admin_workspace_permissions_granted_by;
DROP INDEX idx_admin_workspace_permissions_workspace_id;
DROP INDEX idx_workspace_access_policies_updated_by;

DROP TABLE admin_workspace_permissions;
DROP TABLE workspace_access_policies;
