-- whimbrel: purpose="An order is open, paid or returned"

ALTER TABLE orders ADD COLUMN status TEXT NOT NULL DEFAULT 'open'
    CHECK (status IN ('open', 'paid', 'returned'));

UPDATE orders SET status = 'paid' WHERE placed_on < '2026-01-01';

CREATE VIEW open_orders AS
SELECT id, customer_id, cents FROM orders WHERE status = 'open';
