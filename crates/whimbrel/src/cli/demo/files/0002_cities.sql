-- whimbrel: purpose="Each city once, in a table of its own"

CREATE TABLE cities (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

INSERT INTO cities (name)
SELECT DISTINCT city FROM customers WHERE city IS NOT NULL ORDER BY city;

ALTER TABLE customers ADD COLUMN city_id INTEGER REFERENCES cities (id);

UPDATE customers SET city_id = (SELECT id FROM cities WHERE name = customers.city);

CREATE INDEX customers_by_city ON customers (city_id);
