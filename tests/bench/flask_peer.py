"""
Flask-SignalBus's flushmany, as a program for the virtual environment that fetch-peers makes:

    flask_peer.py DATABASE_URL TABLE BOOTSTRAP TOPIC BURST VALUE BATCH

VALUE is json (all columns, by Flask-SignalBus's own marshmallow schema) or payload (one column as
it is: the least that can be done).  BATCH is plain or batch: SQLAlchemy's option that deletes many
rows in one round trip.  Prints the rows and the seconds, Python's start not among them.
"""
import sys
import time

import confluent_kafka
from flask import Flask
from flask_signalbus import SignalBusMixin
from flask_sqlalchemy import SQLAlchemy

URL, TABLE, BOOTSTRAP, TOPIC, BURST, VALUE, BATCH = sys.argv[1:]
BATCH_OPTIONS = {"executemany_mode": "values_plus_batch", "executemany_batch_page_size": 1000,
                 "executemany_values_page_size": 1000}


class Database(SignalBusMixin, SQLAlchemy):
    pass


app = Flask(__name__)
app.config.update(SQLALCHEMY_DATABASE_URI=URL, SQLALCHEMY_TRACK_MODIFICATIONS=False,
                  SQLALCHEMY_ENGINE_OPTIONS=BATCH_OPTIONS if BATCH == "batch" else {})
db = Database(app)
producer = confluent_kafka.Producer({
    "bootstrap.servers": BOOTSTRAP, "acks": "all", "enable.idempotence": True, "linger.ms": 0,
    "queue.buffering.max.messages": 1000000})


class Bench(db.Model):
    __tablename__ = TABLE
    id = db.Column(db.BigInteger, primary_key=True)
    aggregatetype = db.Column(db.Text, nullable=False)
    aggregateid = db.Column(db.Text, nullable=False)
    type = db.Column(db.Text, nullable=False)
    created_at = db.Column(db.TIMESTAMP(timezone=True), nullable=False)
    payload = db.Column(db.Text, nullable=False)

    signalbus_autoflush = False
    signalbus_burst_count = int(BURST)

    def message(self):
        return self.payload if VALUE == "payload" else self.__marshmallow_schema__.dumps(self)

    def send_signalbus_message(self):
        self.send_signalbus_messages([self])

    @classmethod
    def send_signalbus_messages(cls, signals):
        """Returns when the broker has all of them."""
        failures = []

        def note(error, _):
            if error is not None:
                failures.append(error)

        for signal in signals:
            producer.produce(TOPIC, signal.message(), on_delivery=note)
        if producer.flush(60) > 0 or failures:
            raise RuntimeError(f"not all messages were stored: {failures[:1]}")


with app.app_context():
    begin = time.monotonic()
    sent = db.signalbus.flushmany([Bench])
    print(sent, time.monotonic() - begin)
