-- whimbrel: purpose="The shop as it was before it had migrations"

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
