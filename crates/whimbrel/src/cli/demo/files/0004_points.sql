-- whimbrel: purpose="A point for each whole euro that was paid"

CREATE TABLE points (
    customer_id INTEGER PRIMARY KEY REFERENCES customers (id) ON DELETE CASCADE,
    points INTEGER NOT NULL
);

INSERT INTO points (customer_id, points)
SELECT customer_id, sum(cents) / 100
FROM oders
WHERE status = 'paid'
GROUP BY customer_id;
