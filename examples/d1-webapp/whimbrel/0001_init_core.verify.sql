-- Each statement returns no row when all is well.

-- A table of the foundation that is not there.
SELECT expected.column1 AS missing_table
FROM (
  VALUES
    ('users'), ('workspaces'), ('workspace_members'), ('rooms'), ('room_members'),
    ('work_items'), ('inbox_items'), ('relationships')
) AS expected
WHERE expected.column1 NOT IN (SELECT name FROM sqlite_schema WHERE type = 'table');

-- Two accounts that differ only in the case of their e-mail.
SELECT lower(email) AS email, count(*) AS accounts
FROM users
GROUP BY lower(email)
HAVING count(*) > 1;

-- A workspace whose owner is not a member of it in that role.
SELECT workspaces.id AS workspace_id, workspaces.owner_user_id
FROM workspaces
WHERE NOT EXISTS (
  SELECT 1
  FROM workspace_members
  WHERE workspace_members.workspace_id = workspaces.id
    AND workspace_members.user_id = workspaces.owner_user_id
    AND workspace_members.role = 'owner'
);

-- A work item in a room of another workspace.
SELECT work_items.id AS work_item_id, work_items.workspace_id, rooms.workspace_id AS room_workspace_id
FROM work_items
JOIN rooms ON rooms.id = work_items.room_id
WHERE rooms.workspace_id <> work_items.workspace_id;
