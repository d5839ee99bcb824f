CREATE SCHEMA IF NOT EXISTS shop;

CREATE TABLE shop.order_shipped (
	id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	order_id bigint NOT NULL,
	shipped  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE shop.shipped_line (
	signal_id bigint REFERENCES shop.order_shipped ON DELETE CASCADE,
	number    int,
	sku       text NOT NULL,
	quantity  int NOT NULL,
	PRIMARY KEY (signal_id, number)
);

-- A signal and its lines in one transaction.
WITH signal AS (
	INSERT INTO shop.order_shipped (order_id, shipped)
	VALUES (4711, '2026-11-23 17:00:00+01') RETURNING id
)
INSERT INTO shop.shipped_line SELECT signal.id, line.*
FROM signal, (VALUES (1, 'lamp', 2), (2, 'bulb', 6)) AS line;
