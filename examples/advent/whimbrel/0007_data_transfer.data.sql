-- whimbrel: purpose="The rows of the 8 legacy tables go into 12 new ones" on-error=quarantine

INSERT INTO account_v2 (id, email, display_name, created_at)
SELECT a.id, a.email, coalesce(a.display_name, split_part(a.email, '@', 1)), a.created_at
FROM account a;

INSERT INTO child_profile_v2 (id, account_id, name, birth_year)
SELECT c.id, c.account_id, c.name, c.birth_year FROM child c;

INSERT INTO advent_calendar_v2 (id, child_id, year, theme, published_at)
SELECT k.id, k.child_id, k.year, coalesce(k.theme, 'plain'),
  CASE WHEN k.is_published THEN make_timestamptz(k.year, 12, 1, 0, 0, 0, 'UTC') END
FROM calendar k;

INSERT INTO calendar_day_v2 (id, calendar_id, day_number, message, opened_at)
SELECT d.id, d.calendar_id, d.day, d.message, d.opened_at FROM calendar_day d;

INSERT INTO chat_session_v2 (id, child_id, started_at, expires_at)
SELECT r.id, r.child_id, r.started_at, r.started_at + interval '30 days' FROM chat_record r;

INSERT INTO chat_message_v2 (id, session_id, role, content, created_at)
SELECT m.id, m.record_id, m.role, m.content, m.created_at FROM chat_message m;

-- One legacy row becomes a collection and any number of videos.
INSERT INTO surprise_collection_v2 (id, calendar_id, title)
SELECT s.id, s.calendar_id, coalesce(s.title, 'Surprise') FROM surprise_config s;

INSERT INTO surprise_video (collection_id, place, url)
SELECT s.id, v.place, v.url
FROM surprise_config s
CROSS JOIN LATERAL jsonb_array_elements_text(s.video_urls) WITH ORDINALITY AS v (url, place);

-- Each event goes into one of four tables. What no table knows goes to the first, which refuses
-- it: so it lands in quarantine and is not lost. Heartbeats are left behind on purpose.
-- whimbrel: batch skips="event_type = 'heartbeat'"
INSERT INTO calendar_analytics (event_id, account_id, calendar_id, event, created_at)
SELECT e.id, e.account_id, (e.payload ->> 'calendar_id')::uuid, e.event_type, e.created_at
FROM analytics_event e
WHERE e.event_type NOT IN ('day_opened', 'chat_started', 'streak', 'heartbeat');

-- whimbrel: batch skips="event_type = 'heartbeat'"
INSERT INTO day_analytics (event_id, account_id, calendar_id, day_number, opened_at)
SELECT e.id, e.account_id, (e.payload ->> 'calendar_id')::uuid, (e.payload ->> 'day')::integer,
  e.created_at
FROM analytics_event e WHERE e.event_type = 'day_opened';

-- whimbrel: batch skips="event_type = 'heartbeat'"
INSERT INTO chat_analytics (event_id, account_id, messages, created_at)
SELECT e.id, e.account_id, (e.payload ->> 'messages')::integer, e.created_at
FROM analytics_event e WHERE e.event_type = 'chat_started';

-- whimbrel: batch skips="event_type = 'heartbeat'"
INSERT INTO user_engagement (event_id, account_id, score, created_at)
SELECT e.id, e.account_id, (e.payload ->> 'score')::integer, e.created_at
FROM analytics_event e WHERE e.event_type = 'streak';
