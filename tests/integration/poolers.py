"""PgBouncer before the tests' PostgreSQL, as an ordinary process on a free port."""

import os
import shutil

import psycopg2

from servers import (POSTGRES_USER, Ports, Process, ServerError, TempFolder, clean_environment,
                     wait_until)


class PgBouncer:
    """
    Who connects by it is the superuser of the server.  PgBouncer refuses to run as root: then it
    runs as the user of the server.
    """

    def __init__(self, postgres, pool_mode, **settings):
        self.port = Ports.take()
        self.folder = TempFolder("pgbouncer")
        own = {"listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "",
               "auth_type": "any", "pool_mode": pool_mode, **settings}
        lines = ["[databases]",
                 f"signalbus = host=127.0.0.1 port={postgres.port} user=postgres",
                 "[pgbouncer]", *(f"{name} = {value}" for name, value in own.items())]
        config = self.folder.path / "pgbouncer.ini"
        config.write_text("\n".join(lines) + "\n")
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if not program:
            raise ServerError("pgbouncer: not found; install pgbouncer (tests/install-deps test)")
        self.process = Process([program, config], self.folder.path / "log",
                               POSTGRES_USER if os.geteuid() == 0 else None,
                               environment=clean_environment())

    def conninfo(self):
        return f"host=127.0.0.1 port={self.port} user=postgres dbname=signalbus"

    def accepts(self):
        self.process.require_alive("PgBouncer")
        try:
            psycopg2.connect(self.conninfo()).close()
        except psycopg2.OperationalError:
            return False
        return True

    def __enter__(self):
        wait_until(self.accepts, 20, "PgBouncer accepts connections")
        return self

    def __exit__(self, *_):
        self.process.end(2, 20)  # SIGINT
        self.folder.remove()
