-- Each statement must return no row.
SELECT id, city FROM customers WHERE city IS NOT NULL AND city_id IS NULL;
