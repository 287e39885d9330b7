DROP INDEX customers_by_city;
ALTER TABLE customers DROP COLUMN city_id;
DROP TABLE cities;
