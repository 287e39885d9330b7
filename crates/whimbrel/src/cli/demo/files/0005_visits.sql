-- whimbrel: purpose="Visits of the web shop, made up for the demo"

BEGIN;
CREATE TABLE visits (customer_id INTEGER NOT NULL, page TEXT NOT NULL);
INSERT INTO visits (customer_id, page) SELECT id, '/welcome' FROM customers;
COMMIT;

BEGIN;
WITH RECURSIVE counter (n) AS (
    SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 600000
)
INSERT INTO visits (customer_id, page)
SELECT n % 200 + 1, printf('/products/%06d', n * 7919 % 100003) FROM counter;
COMMIT;
