-- Migration number: 0022 	 2025-12-25T06:48:59.280Z
-- Purpose: Thread messaging system

-- thread_id has no foreign key: a thread is only a name here, and becomes a
-- table with 0026.

-- Category: Threads & Messages

CREATE TABLE thread_messages (
  id TEXT PRIMARY KEY NOT NULL,
  thread_id TEXT NOT NULL,
  sender_id TEXT,
  reply_to_id TEXT,
  body TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'sent'
    CHECK (status IN ('sending', 'sent', 'failed', 'deleted')),
  edited_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  FOREIGN KEY (sender_id) REFERENCES users(id) ON DELETE SET NULL,
  FOREIGN KEY (reply_to_id) REFERENCES thread_messages(id) ON DELETE SET NULL
);

CREATE TABLE thread_message_deliveries (
  id TEXT PRIMARY KEY NOT NULL,
  message_id TEXT NOT NULL,
  recipient_id TEXT NOT NULL,
  channel TEXT NOT NULL DEFAULT 'in_app'
    CHECK (channel IN ('in_app', 'email', 'push')),
  status TEXT NOT NULL DEFAULT 'queued'
    CHECK (status IN ('queued', 'delivered', 'read', 'failed')),
  delivered_at TEXT,
  read_at TEXT,
  failure_reason TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  UNIQUE (message_id, recipient_id, channel),
  CHECK (status <> 'read' OR read_at IS NOT NULL),
  CHECK (status <> 'failed' OR failure_reason IS NOT NULL),
  FOREIGN KEY (message_id) REFERENCES thread_messages(id) ON DELETE CASCADE,
  FOREIGN KEY (recipient_id) REFERENCES users(id) ON DELETE CASCADE
);

CREATE INDEX idx_thread_messages_thread_id ON thread_messages (thread_id, created_at);
CREATE INDEX idx_thread_messages_sender_id ON thread_messages (sender_id);
CREATE INDEX idx_thread_messages_reply_to_id ON thread_messages (reply_to_id);
CREATE INDEX idx_thread_message_deliveries_recipient_id
  ON thread_message_deliveries (recipient_id, status);
CREATE INDEX idx_thread_message_deliveries_queued
  ON thread_message_deliveries (created_at)
  WHERE status = 'queued';
