"""No part of a secret is in any output, whatever is wrong with it."""

import pytest

SECRET = "Zq7Xk9Vw2Jh4"

# What people write where a secret belongs, or what a text with one is taken for.
DATABASES = [
    "host=127.0.0.1 port=1 password=a {}", "host=127.0.0.1 port=1 password='a {}", "password=a {}=b",
    "host=127.0.0.1 port={}", "host=127.0.0.1 port=1 connect_timeout={}", "port=1 keepalives=1 {}",
    "host=127.0.0.1 port=1 sslmode={}", "host=127.0.0.1 port=1 channel_binding={}",
    "host=127.0.0.1 port=1 gssencmode={}", "host=127.0.0.1 port=1 target_session_attrs={}",
    "host=127.0.0.1 port=1 keepalives_idle={}", "host=127.0.0.1 port=1 tcp_user_timeout=1{}",
    "host=127.0.0.1 port=1 pwd=a {}", "host=127.0.0.1 port=1 {}", "host=127.0.0.1 = {}",
    "postgresql://u:{}@[::1/db", "postgresql://u:a@{}@127.0.0.1:1/db", "postgresql://u:a/{}@127.0.0.1/db",
    "postgresql://u:%zz{}@127.0.0.1/db", "postgresql://127.0.0.1:{}/db", "postgresql://u:#{}@127.0.0.1:1/db",
    "host= password={}", "postgresql://127.0.0.1 password='a {}'", "postgresql://u:a?{}@127.0.0.1:1/db", "postgres://u:{}@127.0.0.1:1,/db?sslmode={}"]

KAFKA = ["sasl_password = {};", 'sasl_password = "a" {};', 'sasl_password = ""{}"";', "sasl_password = '{}';",
         'sasl_password = "a"{}"b";', 'sasl_password = "{}', 'sasl_password = "\\x{}";',
         'sasl_password = ( "{}" );', 'sasl_password = {{ file = "/dev/null" {} }};',
         'sasl_password = "a"; "{}";', 'sasl_password "{}";', 'sasl_password = "{}" "{}" = 7;',
         'sasl_password = "{}"; sasl_password = "{}";', 'sasl_pasword = "{}";', 'ssl_key_pem = "{}";',
         'ssl_key_password = [ "{}" ];', 'sasl_password = 7{};', 'sasl_password = "a";{}" = 1;',
         'sasl_password = "a"";{}=";', 'sasl_password = {{ files = "{}"; }};', 'sasl_password = @include "{}"',
         'sasl_oauthbearer_client_secret = "{}"; sasl_mechanism = "{}x";',
         'ssl_keystore_password = "{}"; ssl_keystore_location = "/dev/null"; security_protocol = "ssl";']


def configuration(database, kafka):
    return (f'database = "{database}";\nkafka = {{\n  bootstrap_servers = "127.0.0.1:1";\n  {kafka}\n}};\n'
            'timeout = 0.2;\nmodels = ( { name = "A"; table = "t"; } );\n')


def leaked(signalbus, text):
    """The pieces of the secret that the program prints about this file."""
    signalbus.write(text)
    said = "".join(run.stdout + run.stderr for run in (signalbus("check", "--config-only", "-vv"),
                                                      signalbus("pending", "-vv")))
    return {SECRET[i:i + 4] for i in range(len(SECRET) - 3)
            if SECRET[i:i + 4].lower() in said.lower()}


@pytest.mark.parametrize("database", DATABASES)
def test_of_the_database(signalbus, database):
    assert leaked(signalbus, configuration(database.replace("{}", SECRET), "")) == set()


@pytest.mark.parametrize("setting", KAFKA)
def test_of_kafka(signalbus, setting):
    text = setting.replace("{}", SECRET).replace("{{", "{").replace("}}", "}")
    assert leaked(signalbus, configuration("host=127.0.0.1 port=1", text)) == set()


@pytest.mark.parametrize("database", ["postgresql:/u:{}@h/db", "u:{}@h:5432/db", "{}", " "])
def test_of_what_would_be_the_name_of_a_database(signalbus, postgres, database):
    """The server would quote it; it is the password itself if two files are mixed up."""
    secret = signalbus.folder / "database"
    secret.write_text(database.replace("{}", SECRET))
    environment = {"PGHOST": str(postgres.sockets), "PGPORT": str(postgres.port), "PGUSER": "postgres"}
    text = configuration(database.replace("{}", SECRET), "")
    written = text[:text.index("\n")]
    for source in written, f'database = {{ file = "{secret}"; }};', \
            f'database = {{ command = ( "cat", "{secret}" ); }};':
        signalbus.write(text.replace(written, source))
        run = signalbus("pending", "-vv", environment=environment)
        assert run.returncode == 78 or ("command" in source and run.returncode != 0), run
        assert "neither a list of NAME=VALUE nor a URI" in run.stderr and "dbname=NAME" in run.stderr
        assert SECRET not in run.stderr
