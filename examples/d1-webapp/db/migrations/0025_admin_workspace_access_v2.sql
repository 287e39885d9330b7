-- Migration number: 0025 	 2025-12-25T09:40:21.107Z
-- Purpose: Workspace admin improvements

-- Access to a workspace no longer follows from one role alone: a workspace has
-- a policy, a member an access level, and an admin named permissions.

-- Category: Workspaces

CREATE TABLE workspace_access_policies (
  workspace_id TEXT PRIMARY KEY NOT NULL,
  join_policy TEXT NOT NULL DEFAULT 'invite_only'
    CHECK (join_policy IN ('open', 'request', 'invite_only')),
  default_access_level TEXT NOT NULL DEFAULT 'write'
    CHECK (default_access_level IN ('read', 'write', 'manage')),
  allow_guests INTEGER NOT NULL DEFAULT 0 CHECK (allow_guests IN (0, 1)),
  updated_by TEXT,
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE,
  FOREIGN KEY (updated_by) REFERENCES users(id) ON DELETE SET NULL
);

-- Category: Admin

CREATE TABLE admin_workspace_permissions (
  id TEXT PRIMARY KEY NOT NULL,
  admin_user_id TEXT NOT NULL,
  workspace_id TEXT NOT NULL,
  permission TEXT NOT NULL
    CHECK (permission IN ('read', 'impersonate', 'billing', 'delete')),
  granted_by TEXT,
  expires_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  UNIQUE (admin_user_id, workspace_id, permission),
  FOREIGN KEY (admin_user_id) REFERENCES admin_users(id) ON DELETE CASCADE,
  FOREIGN KEY (workspace_id) REFERENCES workspaces(id) ON DELETE CASCADE,
  FOREIGN KEY (granted_by) REFERENCES admin_users(id) ON DELETE SET NULL
);

CREATE INDEX idx_workspace_access_policies_updated_by
  ON workspace_access_policies (updated_by);
CREATE INDEX idx_admin_workspace_permissions_workspace_id
  ON admin_workspace_permissions (workspace_id);
CREATE INDEX idx_admin_workspace_permissions_granted_by
  ON admin_workspace_permissions (granted_by);

ALTER TABLE workspace_members ADD COLUMN access_level TEXT NOT NULL DEFAULT 'write'
  CHECK (access_level IN ('read', 'write', 'manage'));

UPDATE workspace_members SET access_level = 'manage' WHERE role IN ('owner', 'admin');
UPDATE workspace_members SET access_level = 'read' WHERE role = 'guest';

-- A workspace that has guests today keeps them.
INSERT INTO workspace_access_policies (workspace_id, allow_guests)
SELECT
  workspaces.id,
  EXISTS (
    SELECT 1
    FROM workspace_members
    WHERE workspace_members.workspace_id = workspaces.id
      AND workspace_members.role = 'guest'
  )
FROM workspaces;
