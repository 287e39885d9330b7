-- A setting that the application reads at its start and that is not there.
SELECT expected.column1 AS missing_setting
FROM (
  VALUES ('maintenance_mode'), ('max_ai_cost_per_user_daily'), ('default_rate_limit')
) AS expected
WHERE expected.column1 NOT IN (SELECT key FROM system_settings);

-- A value that is not of its type.
SELECT key, value, value_type
FROM system_settings
WHERE (value_type = 'boolean' AND value NOT IN ('true', 'false'))
   OR (value_type = 'number' AND (NOT json_valid(value) OR json_type(value) NOT IN ('integer', 'real')))
   OR (value_type = 'json' AND NOT json_valid(value));
