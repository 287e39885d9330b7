-- A calendar has no door twice, and no more than 24.
SELECT calendar_id, count(*) FROM calendar_day_v2 GROUP BY calendar_id HAVING count(*) > 24;
