CREATE TABLE points (
    customer_id INTEGER PRIMARY KEY REFERENCES customers (id) ON DELETE CASCADE,
    points INTEGER NOT NULL
);
