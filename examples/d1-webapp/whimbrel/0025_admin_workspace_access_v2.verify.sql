-- A workspace without a policy.
SELECT id AS workspace_id
FROM workspaces
WHERE id NOT IN (SELECT workspace_id FROM workspace_access_policies);

-- An owner who may not manage.
SELECT id AS workspace_member_id, role, access_level
FROM workspace_members
WHERE role = 'owner' AND access_level <> 'manage';
