-- Tables as Flask-SQLAlchemy makes them for this signal model of Flask-SignalBus, whose application has
-- set autoflush off.  The foreign key has ON DELETE CASCADE, so that lines are deleted with their signal:
--
--     class TransferSignal(db.Model):
--         id = db.Column(db.BigInteger, primary_key=True)
--         account_id = db.Column(db.Integer, db.ForeignKey('account.account_id'), nullable=False)
--         amount = db.Column(db.Numeric(12, 2), nullable=False)
--         hold = db.Column(db.Interval)
--         details = db.Column(db.JSON)
--         note = db.Column(db.Text)
--         made_at = db.Column(db.DateTime(timezone=True), nullable=False)
--         account = db.relationship(Account)
--         lines = db.relationship('TransferLine', cascade='all, delete-orphan')
--         signalbus_autoflush = False
--         signalbus_order_by = (id,)
CREATE TABLE account (
	account_id serial PRIMARY KEY
);
CREATE TABLE transfer_signal (
	id         bigserial PRIMARY KEY,
	account_id integer NOT NULL REFERENCES account,
	amount     numeric(12, 2) NOT NULL,
	hold       interval,
	details    json,
	note       text,
	made_at    timestamp with time zone NOT NULL
);
CREATE TABLE transfer_line (
	id         bigserial PRIMARY KEY,
	signal_id  bigint NOT NULL REFERENCES transfer_signal ON DELETE CASCADE,
	text       text
);

INSERT INTO account VALUES (42);
INSERT INTO transfer_signal (account_id, amount, hold, details, note, made_at) VALUES
	(42, 19.90, '1 day 02:00:01', '{"a": [1, 2.5]}', 'Grüße "x"', '2026-11-23 16:00:00+00'),
	(42, 5.00, NULL, NULL, NULL, '2026-11-23 16:00:00.12+00');
INSERT INTO transfer_line (signal_id, text) VALUES (1, 'first'), (1, 'second');
