-- What the new application remembers: 3,000 fragments, two of three past their time.
INSERT INTO memory_fragment (session_id, content, expires_at)
SELECT s.id, 'Fragment ' || n, now() + (n % 3 - 2) * interval '2 days' + interval '1 day'
FROM (SELECT id, row_number() OVER (ORDER BY id) AS place, count(*) OVER () AS many FROM chat_session_v2) s
JOIN generate_series(1, 3000) n ON s.place = 1 + n % s.many;
