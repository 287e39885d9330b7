-- Migration number: 0004 	 2025-10-08T16:22:10.048Z
-- Purpose: Performance optimization

-- The unique constraints of 0001 and 0002 already serve e-mail, slug and the
-- first column of each pair. These indexes serve the rest.

-- User lookup
CREATE INDEX idx_users_email_lower ON users (lower(email));
CREATE INDEX idx_users_display_name ON users (display_name COLLATE NOCASE);
CREATE INDEX idx_users_status ON users (status);

-- Foreign keys
CREATE INDEX idx_workspaces_owner_user_id ON workspaces (owner_user_id);
CREATE INDEX idx_workspaces_parent_workspace_id ON workspaces (parent_workspace_id)
  WHERE parent_workspace_id IS NOT NULL;
CREATE INDEX idx_workspace_members_user_id ON workspace_members (user_id);
CREATE INDEX idx_rooms_created_by ON rooms (created_by);
CREATE INDEX idx_room_members_user_id ON room_members (user_id);
CREATE INDEX idx_work_items_workspace_id ON work_items (workspace_id);
CREATE INDEX idx_work_items_room_id ON work_items (room_id);
CREATE INDEX idx_work_items_creator_id ON work_items (creator_id);
CREATE INDEX idx_work_items_assignee_id ON work_items (assignee_id);
CREATE INDEX idx_inbox_items_actor_id ON inbox_items (actor_id);
CREATE INDEX idx_inbox_items_work_item_id ON inbox_items (work_item_id);
CREATE INDEX idx_relationships_user_id ON relationships (user_id);
CREATE INDEX idx_relationships_related_user_id ON relationships (related_user_id);
CREATE INDEX idx_lists_workspace_id ON lists (workspace_id);
CREATE INDEX idx_lists_owner_id ON lists (owner_id);
CREATE INDEX idx_list_items_added_by ON list_items (added_by);
CREATE INDEX idx_list_members_user_id ON list_members (user_id);
CREATE INDEX idx_hosted_events_host_user_id ON hosted_events (host_user_id);
CREATE INDEX idx_hosted_events_workspace_id ON hosted_events (workspace_id);
CREATE INDEX idx_event_participants_user_id ON event_participants (user_id);
CREATE INDEX idx_audit_logs_admin_user_id ON audit_logs (admin_user_id);

-- Status and time
CREATE INDEX idx_work_items_status_due_at ON work_items (status, due_at);
CREATE INDEX idx_inbox_items_unread ON inbox_items (user_id, created_at DESC)
  WHERE read_at IS NULL;
CREATE INDEX idx_hosted_events_status_starts_at ON hosted_events (status, starts_at);
CREATE INDEX idx_audit_logs_target ON audit_logs (target_type, target_id);
CREATE INDEX idx_audit_logs_created_at ON audit_logs (created_at);
