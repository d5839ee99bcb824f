-- A transaction that creates an order also inserts a row here.
CREATE SCHEMA IF NOT EXISTS shop;

CREATE TABLE shop.order_created (
	id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	customer_id bigint NOT NULL,
	total       numeric(12, 2) NOT NULL,
	created     timestamptz NOT NULL DEFAULT now()
);

INSERT INTO shop.order_created (customer_id, total, created) VALUES
	(7, 12.50, '2026-11-23 17:00:00+01'),
	(8, 1999.90, '2026-11-23 17:00:01+01');
