-- Rows for a database that stands at 0009, so that 0010 finds duplicates, and
-- 0024 and 0025 find rows to carry over. They do not collide with seed.sql.
--
-- Of the relationships, rel_early_1, rel_early_4, rel_early_5 and rel_early_6
-- are left after 0010.

INSERT INTO users (id, email, display_name) VALUES
  ('usr_early_1', 'early.one@example.com', 'Ada Früh'),
  ('usr_early_2', 'early.two@example.com', NULL),
  ('usr_early_3', 'early.three@example.com', '三番目');

INSERT INTO workspaces (id, name, slug, owner_user_id) VALUES
  ('wsp_early_1', 'First in', 'first-in', 'usr_early_1'),
  ('wsp_early_2', 'Second; with guests', 'second-in', 'usr_early_2');

INSERT INTO workspace_members (id, workspace_id, user_id, role) VALUES
  ('wmb_early_1', 'wsp_early_1', 'usr_early_1', 'owner'),
  ('wmb_early_2', 'wsp_early_1', 'usr_early_2', 'member'),
  ('wmb_early_3', 'wsp_early_2', 'usr_early_2', 'owner'),
  ('wmb_early_4', 'wsp_early_2', 'usr_early_3', 'guest');

INSERT INTO rooms (id, workspace_id, name) VALUES
  ('rom_early_1', 'wsp_early_1', 'general');

INSERT INTO work_items (id, workspace_id, room_id, creator_id, title, visibility) VALUES
  ('wki_early_1', 'wsp_early_1', 'rom_early_1', 'usr_early_1', 'Seen by the room', 'room'),
  ('wki_early_2', 'wsp_early_1', 'rom_early_1', 'usr_early_1', 'Seen by nobody else', 'private'),
  ('wki_early_3', 'wsp_early_2', NULL, 'usr_early_2', 'No room at all', 'private');

INSERT INTO relationships (id, user_id, related_user_id, kind, note, created_at) VALUES
  ('rel_early_1', 'usr_early_1', 'usr_early_2', 'friend', 'the oldest of three', '2025-11-01T10:00:00.000Z'),
  ('rel_early_2', 'usr_early_1', 'usr_early_2', 'colleague', NULL, '2025-11-01T10:00:00.001Z'),
  ('rel_early_3', 'usr_early_1', 'usr_early_2', 'friend', 'the newest', '2025-11-02T08:00:00.000Z'),
  ('rel_early_4', 'usr_early_2', 'usr_early_1', 'friend', 'the other way round', '2025-11-01T10:00:00.000Z'),
  ('rel_early_5', 'usr_early_1', 'usr_early_3', 'blocked', NULL, '2025-11-03T12:00:00.000Z'),
  ('rel_early_7', 'usr_early_2', 'usr_early_3', 'friend', 'as old, larger id', '2025-11-03T12:00:00.000Z'),
  ('rel_early_6', 'usr_early_2', 'usr_early_3', 'friend', 'as old, smaller id', '2025-11-03T12:00:00.000Z');
