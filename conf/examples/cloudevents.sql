CREATE SCHEMA IF NOT EXISTS shop;

CREATE TABLE shop.event (
	id      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	type    text NOT NULL,
	subject text,
	created timestamptz NOT NULL DEFAULT now(),
	data    jsonb
);

INSERT INTO shop.event (id, type, subject, created, data) VALUES
	('6b0cbb1e-7c5c-4c3d-9d0e-2d0f0a5b7a11', 'com.example.order.created', 'order/1',
	 '2026-11-23 17:00:00.123456+01', '{"order": 1, "total": 12.50}'),
	('0d7a5c64-62de-4d3b-8a4f-5d6f4bb0a0a2', 'com.example.stock.counted', NULL,
	 '2026-11-23 17:00:01+01', '{"lamp": 3}');
