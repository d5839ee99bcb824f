"""
Servers that want TLS and to know who comes: a PostgreSQL and a Kafka, with certificates made here.
"""

import itertools
import os
import shutil
import subprocess
from pathlib import Path

import acls
from servers import Kafka, Ports, Postgres

PAST = ("20200101000000Z", "20200102000000Z")
PRESENT = ("20200101000000Z", "21200101000000Z")
LOGIN_MODULE = "org.apache.kafka.common.security.{}LoginModule required {};"


class Authority:
    """A certificate authority, made by openssl, and the certificates that it signs."""

    CONFIGURATION = """
        [ca]
        default_ca = own
        [own]
        database = {folder}/index
        new_certs_dir = {folder}
        rand_serial = yes
        default_md = sha256
        policy = any
        unique_subject = no
        [any]
        commonName = supplied
        [request]
        distinguished_name = any
    """
    numbers = itertools.count()
    KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

    def __init__(self, folder, name):
        self.folder = Path(folder) / name
        self.folder.mkdir()
        self.configuration = self.folder / "configuration"
        self.configuration.write_text(self.CONFIGURATION.format(folder=self.folder))
        (self.folder / "index").touch()
        self.key, self.certificate = self.folder / "ca.key", self.folder / "ca.crt"
        self.openssl("req", "-x509", *self.KEY, "-keyout", self.key, "-out", self.certificate,
                     "-subj", f"/CN={name}", "-days", "9",
                     "-addext", "basicConstraints=critical,CA:TRUE")

    def openssl(self, *words):
        subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True,
                       env={**os.environ, "OPENSSL_CONF": str(self.configuration)})

    def certify(self, name, host="localhost", valid=PRESENT):
        """A key and a certificate for it, of a server of that name or of a client."""
        stem = f"{name}-{next(self.numbers)}"
        key, request, certificate, extensions = (
            self.folder / f"{stem}.{end}" for end in ("key", "csr", "crt", "ext"))
        extensions.write_text(f"subjectAltName=DNS:{host}\n")
        self.openssl("req", "-new", *self.KEY, "-keyout", key, "-out", request,
                     "-subj", f"/CN={name}")
        self.openssl("ca", "-config", self.configuration, "-batch", "-notext", "-in", request,
                     "-out", certificate, "-cert", self.certificate, "-keyfile", self.key,
                     "-startdate", valid[0], "-enddate", valid[1], "-extfile", extensions)
        return key, certificate

    def client(self, name, valid=PRESENT):
        """The properties of a client that has a certificate."""
        key, certificate = self.certify(name, name, valid)
        return {"ssl_key_location": str(key), "ssl_certificate_location": str(certificate)}


class SecuredPostgres(Postgres):
    """
    Takes postgres by the socket, and others as the lines of pg_hba.conf say.
    """

    def __init__(self, authority, settings, access):
        super().__init__(settings)
        (self.data / "pg_hba.conf").write_text(f"local all postgres trust\n{access}")
        self.show(*authority.certify("database"))

    def show(self, key, certificate):
        """The certificate to show; wants reload() if the server runs."""
        for source, name in ((key, "server.key"), (certificate, "server.crt")):
            path = self.data / name
            shutil.copyfile(source, path)
            path.chmod(0o600)
            if self.user:
                shutil.chown(path, self.user)

    def reload(self):
        connection = self.connect()
        connection.cursor().execute("SELECT pg_reload_conf()")
        connection.close()

    def conninfo(self, database="signalbus", **more):
        return super().conninfo(database, **{"host": self.sockets, **more})


class SecuredKafka(Kafka):
    """
    Has a listener for each way to come, next to that of the tests, who may do anything:

        TLS       wants a client certificate; User:CN=NAME
        PASSWORD  TLS and a password, by PLAIN or SCRAM: relay has "secret"
        CLEAR     a password without TLS
        OUTDATED  as PASSWORD, but relay has another password
        EXPIRED   TLS with a certificate that is no longer valid, …
        OTHER     … or for another host, …
        FOREIGN   … or by another authority
    """

    LISTENERS = {"TLS": "SSL", "PASSWORD": "SASL_SSL", "CLEAR": "SASL_PLAINTEXT",
                 "OUTDATED": "SASL_SSL",
                 "EXPIRED": "SSL", "OTHER": "SSL", "FOREIGN": "SSL"}
    FORMAT_OPTIONS = ["--add-scram", "SCRAM-SHA-512=[name=relay,password=secret]"]

    def __init__(self, authority, foreign):
        self.authority, self.foreign = authority, foreign
        self.ports = {name: Ports.take() for name in self.LISTENERS}
        self.certificates = {
            "TLS": authority.certify("broker"),
            "PASSWORD": authority.certify("broker"),
            "OUTDATED": authority.certify("broker"),
            "EXPIRED": authority.certify("broker", valid=PAST),
            "OTHER": authority.certify("broker", host="other.invalid"),
            "FOREIGN": foreign.certify("broker"),
        }
        super().__init__()

    def way(self, listener):
        """What leads signalbus to a listener."""
        protocol = self.LISTENERS[listener].lower()
        password = {"sasl_mechanism": "PLAIN", "sasl_username": "relay", "sasl_password": "secret"}
        return {"bootstrap_servers": f"localhost:{self.ports[listener]}",
                "security_protocol": protocol,
                **({"ssl_ca_location": str(self.authority.certificate)} if "ssl" in protocol else {}),
                **(password if "sasl" in protocol else {})}

    def default_settings(self, auto_create_topics):
        [broker] = self.brokers
        own = ",".join(f"{name}://localhost:{port}" for name, port in self.ports.items())
        settings = {
            **super().default_settings(auto_create_topics),
            "listeners": f"PLAINTEXT://{broker.address},{own},"
                         f"CONTROLLER://127.0.0.1:{broker.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{broker.address},{own}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:SSL,"
            + ",".join(f"{name}:{protocol}" for name, protocol in self.LISTENERS.items()),
            "controller.quorum.voters": f"{broker.node}@localhost:{broker.controller_port}",
            "num.network.threads": 1,
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "ssl.client.auth": "required",
            **{f"listener.name.{name.lower()}.ssl.client.auth": "none"
               for name in ("EXPIRED", "OTHER", "FOREIGN")},
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:CN=broker",
            "connection.failed.authentication.delay.ms": 20,
        }
        for name, certificate in self.certificates.items():
            settings.update(self.shown(name, *certificate))
        settings.update({name.replace("listener.name.tls.", ""): value for name, value in
                         self.shown("TLS", *self.certificates["TLS"]).items()})
        for name, password in (("password", "secret"), ("clear", "secret"), ("outdated", "other")):
            settings.update(self.passwords(name, relay=password))
        return settings

    def shown(self, listener, key, certificate, clients=None):
        """The settings by which a listener shows a certificate, and who signs those of clients."""
        store = self.brokers[0].folder / f"{listener}-{certificate.parent.name}-{certificate.stem}.pem"
        store.write_text(key.read_text() + certificate.read_text())
        prefix = f"listener.name.{listener.lower()}.ssl."
        return {prefix + "keystore.type": "PEM", prefix + "keystore.location": store,
                prefix + "truststore.type": "PEM",
                prefix + "truststore.location": (clients or self.authority).certificate}

    @staticmethod
    def passwords(listener, **passwords):
        users = " ".join(f'user_{user}="{password}"' for user, password in passwords.items())
        prefix = f"listener.name.{listener.lower()}."
        return {prefix + "plain.sasl.jaas.config": LOGIN_MODULE.format("plain.Plain", users),
                prefix + "scram-sha-512.sasl.jaas.config":
                    LOGIN_MODULE.format("scram.Scram", "").replace(" ;", ";")}

    def allow(self, principal, operation, topic=None):
        """Lets a principal do something to a topic or, without one, to the cluster."""
        acls.allow(self.bootstrap, principal, self.resource(topic), operation)

    def forbid(self, principal, operation, topic=None):
        """Takes that back."""
        acls.forbid(self.bootstrap, principal, self.resource(topic), operation)

    @staticmethod
    def resource(topic):
        kind, name = (acls.TOPIC, topic) if topic else (acls.CLUSTER, "kafka-cluster")
        return kind, name, acls.LITERAL

    def change(self, settings):
        """Changes settings of the broker while it runs."""
        acls.change_broker(self.bootstrap, "1", settings)
