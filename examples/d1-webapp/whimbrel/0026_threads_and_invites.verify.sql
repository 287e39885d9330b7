-- A table or an index of Ticket 10 that is not there.
SELECT expected.column1 AS missing_type, expected.column2 AS missing_name
FROM (
  VALUES
    ('table', 'threads'),
    ('table', 'thread_invites'),
    ('table', 'thread_participants'),
    ('index', 'idx_threads_user_id'),
    ('index', 'idx_threads_workspace_id'),
    ('index', 'idx_threads_status'),
    ('index', 'idx_thread_invites_thread_id'),
    ('index', 'idx_thread_invites_token'),
    ('index', 'idx_thread_invites_email'),
    ('index', 'idx_thread_invites_status'),
    ('index', 'idx_thread_participants_thread_id'),
    ('index', 'idx_thread_participants_user_id'),
    ('index', 'idx_thread_participants_email')
) AS expected
WHERE NOT EXISTS (
  SELECT 1
  FROM sqlite_schema
  WHERE type = expected.column1 AND name = expected.column2
);

-- A foreign key that is missing or does something else when its parent goes.
SELECT expected.column1 AS child, expected.column2 AS child_column, expected.column4 AS expected_action
FROM (
  VALUES
    ('threads', 'user_id', 'users', 'CASCADE'),
    ('threads', 'workspace_id', 'workspaces', 'SET NULL'),
    ('thread_invites', 'thread_id', 'threads', 'CASCADE'),
    ('thread_participants', 'thread_id', 'threads', 'CASCADE'),
    ('thread_participants', 'user_id', 'users', 'SET NULL')
) AS expected
WHERE NOT EXISTS (
  SELECT 1
  FROM pragma_foreign_key_list(expected.column1) AS found
  WHERE found."from" = expected.column2
    AND found."table" = expected.column3
    AND found."to" = 'id'
    AND found.on_delete = expected.column4
);

-- An accepted invitation without its time, or a time without acceptance.
SELECT id AS thread_invite_id, status, accepted_at
FROM thread_invites
WHERE (status = 'accepted') <> (accepted_at IS NOT NULL);

-- A thread that does not have exactly one owner among its participants.
SELECT threads.id AS thread_id, count(thread_participants.id) AS owners
FROM threads
LEFT JOIN thread_participants
  ON thread_participants.thread_id = threads.id AND thread_participants.role = 'owner'
GROUP BY threads.id
HAVING count(thread_participants.id) <> 1;
