CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    city TEXT
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id) ON DELETE CASCADE,
    placed_on TEXT NOT NULL,
    cents INTEGER NOT NULL CHECK (cents >= 0)
);
CREATE INDEX orders_by_customer ON orders (customer_id);

WITH RECURSIVE counter (n) AS (
    SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 200
)
INSERT INTO customers (name, email, city)
SELECT printf('Customer %d', n),
       printf('customer%d@example.com', n),
       CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN 'Zürich' WHEN 2 THEN 'Lyon' WHEN 3 THEN 'Gdańsk'
           WHEN 4 THEN 'Porto' WHEN 5 THEN 'Århus' ELSE 'Graz' END
FROM counter;

WITH RECURSIVE counter (n) AS (
    SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 1000
)
INSERT INTO orders (customer_id, placed_on, cents)
SELECT n * 37 % 200 + 1, date('2025-01-01', printf('+%d days', n % 500)), n * 271 % 9000
FROM counter;
