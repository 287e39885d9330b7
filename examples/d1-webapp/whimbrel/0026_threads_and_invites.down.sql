DROP INDEX idx_thread_participants_email;
DROP INDEX idx_thread_participants_user_id;
DROP INDEX idx_thread_participants_thread_id;
DROP INDEX idx_thread_invites_status;
DROP INDEX idx_thread_invites_email;
DROP INDEX idx_thread_invites_token;
DROP INDEX idx_thread_invites_thread_id;
DROP INDEX idx_threads_status;
DROP INDEX idx_threads_workspace_id;
DROP INDEX idx_threads_user_id;

DROP TABLE thread_participants;
DROP TABLE thread_invites;
DROP TABLE threads;
