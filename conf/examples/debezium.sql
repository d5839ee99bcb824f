-- The basic outbox table of Debezium's manual ("Outbox Event Router"), with a column for the order.
CREATE TABLE outbox (
	id            uuid PRIMARY KEY,
	aggregatetype varchar(255) NOT NULL,
	aggregateid   varchar(255) NOT NULL,
	type          varchar(255) NOT NULL,
	payload       jsonb,
	position      bigint GENERATED ALWAYS AS IDENTITY UNIQUE
);

INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload) VALUES
	('406c07f3-26f0-4eea-a50c-109940064b8f', 'Order', '1', 'OrderCreated',
	 '{"id": 1, "lineItems": [{"id": 1, "item": "Debezium in Action"}]}'),
	('cb31eb09-23c0-4ae9-8a5d-8b9c9c2b1a5e', 'Customer', '123', 'CustomerMoved',
	 '{"id": 123, "city": "Brno"}'),
	('b7a1d3f2-1a55-4f8c-bb0e-3e2c2f0f9c11', 'Order', '1', 'OrderErased', NULL);
