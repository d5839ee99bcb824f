"""
The packages and the image (make check-packages, as root): Debian's package is installed, upgraded
while rows are written, removed and purged, under systemd in a fresh root; RPM's is unpacked and its
program run; the image is built, and sends.

The targets deb and rpm have been made.  The root is made once, by mmdebstrap, and kept in build/packages.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from libconfig import render
from runner import Signalbus, model
from servers import ROOT, Meanwhile, Ports, Process, clean_environment, wait_until

pytestmark = pytest.mark.packages

CACHE = ROOT / "build/packages"
BASE = CACHE / "root.tar"
VERSION = re.search(r"^VERSION := (.*)$", (ROOT / "Makefile").read_text(), re.M)[1]


def run(*command, status=0, **options):
    """What a command prints that ends with a status."""
    done = subprocess.run([str(word) for word in command], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200,
                          env=clean_environment(), **options)
    assert done.returncode == status, f"{command}: status {done.returncode}\n{done.stdout}"
    return done.stdout


def only(folder, pattern):
    found = list((ROOT / "build" / folder).glob(pattern))
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


def documented(start):
    """A block of docs/install.md, as root types it."""
    page = (ROOT / "docs" / "install.md").read_text()
    [block] = [block for block in re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
               if block.startswith(start)]
    return block.replace("sudo ", "")


@pytest.fixture(scope="module")
def deb():
    package = only("deb", "signalbus_*.deb")
    pattern = re.search(r"apt install \./(\S+)", documented("make deb"))[1]
    assert [package] == list(ROOT.glob(pattern.replace("amd64", run("dpkg", "--print-architecture").strip())))
    return package


@pytest.fixture(scope="module")
def base(deb):
    """A root with systemd and the packages that Debian's package depends on."""
    assert os.geteuid() == 0, "check-packages makes roots and containers: run it as root"
    needed = {item.split()[0] for item in run("dpkg-deb", "-f", deb, "Depends").split(",")}
    packages = ",".join(sorted({"systemd", "systemd-sysv", "dbus"} | needed))
    known = CACHE / "root.packages"
    if not BASE.exists() or not known.exists() or known.read_text() != packages:
        CACHE.mkdir(exist_ok=True)
        run("mmdebstrap", "--variant=minbase", f"--include={packages}", "bookworm", BASE)
        known.write_text(packages)
    return BASE


@pytest.fixture
def root(base, folder):
    path = folder / "root"
    path.mkdir()
    run("tar", "-xf", base, "-C", path)
    return path


class Machine:
    """A root that systemd runs, in the network of this host."""

    def __init__(self, root, log):
        self.root = root
        self.process = Process(
            ["systemd-nspawn", "-D", root, "--boot", "--register=no", "--keep-unit",
             "--console=pipe", f"--machine=signalbus-{os.getpid()}"], log, death_signal="TERM")
        self.pid = wait_until(self.find_init, 60, "systemd started")
        wait_until(lambda: self.state() in ("running", "degraded"), 120, "systemd is up")

    def find_init(self):
        self.process.require_alive("systemd-nspawn")
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for child in children.split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text().strip() == "systemd":
                    return child
        return None

    def command(self, *words):
        return ["nsenter", "--target", self.pid, "--all", "--", "env", "-i",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", *words]

    def __call__(self, *words, status=0):
        return run(*self.command(*words), status=status)

    def state(self):
        done = subprocess.run(self.command("systemctl", "is-system-running"), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return done.stdout.strip()

    def property(self, name, unit="signalbus"):
        return self("systemctl", "show", "--value", "-p", name, unit).strip()

    def install(self, package):
        shutil.copy(package, self.root / "var/cache/package.deb")
        return self("dpkg", "--install", "/var/cache/package.deb")

    def end(self):
        self.process.send(15)
        self.process.popen.wait(60)


@pytest.fixture
def machine(root, folder):
    running = Machine(root, folder / "nspawn.log")
    yield running
    running.end()


@pytest.fixture(scope="module")
def newer(deb, workspace):
    """The same package with a higher version."""
    folder = workspace / "newer"
    run("dpkg-deb", "--raw-extract", deb, folder)
    control = folder / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: (.*)$", r"Version: \1+newer", control.read_text(), flags=re.M))
    package = workspace / "newer.deb"
    run("dpkg-deb", "--root-owner-group", "--build", folder, package)
    return package


def test_links_of_the_documents(deb, folder):
    run("dpkg-deb", "--extract", deb, folder)
    documents = folder / "usr/share/doc/signalbus"
    for page in documents.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page}: {link}"


def test_lintian_finds_nothing():
    """Overrides have reasons."""
    changes = only("deb", "*.changes")
    assert run("lintian", "--fail-on=error,warning", "--allow-root", changes) == ""
    text = (ROOT / "packaging/debian/signalbus.lintian-overrides").read_text()
    assert text.startswith("# ")


class Writer(Meanwhile):
    """Commits a signal every few milliseconds; what it has committed is in numbers."""

    def __init__(self, schema):
        super().__init__(0.005)
        self.connection = schema.connect(autocommit=True)
        self.statement = f"INSERT INTO {schema}.t (payload) VALUES ('x') RETURNING id"
        self.numbers = []

    def step(self):
        cursor = self.connection.cursor()
        cursor.execute(self.statement)
        self.numbers.append(cursor.fetchone()[0])

    def wait_for(self, count):
        wait_until(lambda: len(self.numbers) >= count, 60, f"{count} signals")


def settings_file(machine, signalbus, *models):
    path = machine.root / "etc/signalbus/signalbus.conf"
    path.write_text(render(signalbus.settings(*models)))
    group = machine("getent", "group", "signalbus").split(":")[2]
    os.chown(path, 0, int(group))
    path.chmod(0o640)
    return path


def test_the_package_lives_under_systemd(machine, deb, newer, signalbus, schema, make_topic, consume):
    """Installed, upgraded while rows are written, removed and purged: nothing lost, nothing twice."""
    machine.install(deb)
    assert machine("signalbus", "--version").startswith(f"signalbus {VERSION}\n")
    assert "signalbus" in machine("getent", "passwd", "signalbus")
    machine("systemctl", "is-enabled", "--quiet", "signalbus", status=1)
    assert machine.property("ActiveState") == "inactive"

    schema.execute("CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload text)")
    topic = make_topic()
    path = settings_file(
        machine, signalbus, model("A", f"{schema}.t", topic, order_by=["id"], burst_count=20))
    os.chown(path, 0, 0)  # as an editor leaves it
    machine("sh", "-ec", documented("sudo chown"))
    first = machine.property("MainPID")
    with Writer(schema) as writer:
        writer.wait_for(50)
        machine.install(newer)
        wait_until(lambda: machine.property("ActiveState") == "active"
                   and machine.property("MainPID") != first, 90, "the service has been restarted")
        writer.wait_for(len(writer.numbers) + 50)
    wait_until(lambda: schema.count("t") == 0, 60, "all signals sent")
    log = machine("journalctl", "-u", "signalbus", "-o", "cat")
    assert log.count("started: signalbus") == 2 and log.count("stopped\n") >= 1, log
    machine("systemctl", "reload", "signalbus")
    counted = Counter(json.loads(message.value)["id"] for message in consume(topic, len(writer.numbers)))
    assert counted == Counter(writer.numbers)

    machine("dpkg", "--remove", "signalbus")
    assert machine.property("ActiveState") in ("inactive", "failed")
    assert not (machine.root / "usr/bin/signalbus").exists()
    machine("dpkg", "--purge", "signalbus")
    assert (machine.root / "etc/signalbus/signalbus.conf").exists()  # it is the administrator's
    machine("getent", "passwd", "signalbus")
    machine.install(deb)
    (machine.root / "etc/signalbus/signalbus.conf").unlink()
    machine("dpkg", "--purge", "signalbus")
    assert not (machine.root / "etc/signalbus").exists()
    machine("getent", "passwd", "signalbus", status=2)


def test_an_upgrade_does_not_wait_for_a_server(machine, deb, newer, signalbus):
    machine.install(deb)
    signalbus.database = "host=127.0.0.1 port=1 dbname=nowhere"
    settings_file(machine, signalbus, model("A", "a"))
    machine("systemctl", "enable", "--now", "--no-block", "signalbus")
    wait_until(lambda: machine.property("MainPID") != "0", 30, "the daemon started")
    first = machine.property("MainPID")
    machine.install(newer)
    wait_until(lambda: machine.property("MainPID") not in ("0", first), 60, "a new daemon")


def test_the_rpm_runs(root, folder):
    package = only("rpm", "RPMS/*/signalbus-*.rpm")
    assert run("rpm", "-qp", "--queryformat", "%{version}", package) == VERSION
    names = set(run("rpm", "-qpl", package).split())
    assert {"/usr/bin/signalbus", "/usr/lib/systemd/system/signalbus.service", "/etc/signalbus",
            "/usr/share/man/man1/signalbus.1", "/usr/lib/sysusers.d/signalbus.conf",
            "/usr/share/bash-completion/completions/signalbus"} <= names
    run("sh", "-c", 'rpm2cpio "$0" | cpio --quiet -idm -D "$1"', package, root)
    assert run("chroot", root, "signalbus", "--version").startswith(f"signalbus {VERSION}\n")
    scripts = run("rpm", "-qp", "--scripts", package)
    for script in re.split(r"^\w+ scriptlet.*$", scripts, flags=re.M)[1:]:
        assert "%{" not in script
        run("sh", "-nc", script)


class Images:
    """Images in a storage of their own."""

    def __init__(self, folder):
        self.options = ["--root", folder / "images", "--runroot", folder / "run",
                        "--storage-driver", "vfs"]

    def __call__(self, *words):
        return run("buildah", *self.options, *words).strip()


@pytest.fixture
def images(base, folder):
    buildah = Images(folder)
    container = buildah("from", "scratch")
    buildah("add", "--quiet", container, base, "/")
    buildah("commit", "--quiet", container, "localhost/debian")
    return buildah


def test_the_image_sends(images, signalbus, schema, make_topic, folder):
    images("build", "--quiet", "--isolation=chroot", "--network=host", "--tag=localhost/signalbus",
           "--build-arg=BASE=localhost/debian", f"--file={ROOT}/packaging/Containerfile", ROOT)
    configuration = json.loads(images("inspect", "--type=image", "localhost/signalbus"))["OCIv1"]["config"]
    assert configuration["User"] == "65532:65532"
    container = images("from", "localhost/signalbus")
    image = Path(images("mount", container))
    assert not any((image / name).exists() for name in ("bin", "usr/bin/sh", "usr/bin/dash"))
    assert [path.name for path in (image / "usr/bin").iterdir()] == ["signalbus"]
    size = sum(path.stat().st_size for path in image.rglob("*") if path.is_file())
    assert size < 40e6
    config = Path(signalbus.configure(model("A", schema.make_signals("t", 5), make_topic())))
    config.chmod(0o644)
    # What a runtime does with this configuration: the user, the variables, a read-only root.
    daemon = signalbus.start(command=[
        "unshare", "--mount", "sh", "-ec",
        'mount --bind "$1" "$1"; touch "$1$2"; mount --bind "$3" "$1$2"; mount -o remount,bind,ro "$1"; '
        'shift 3; exec chroot --userspec=65532:65532 --groups= "$@"', "sh", image,
        "/etc/signalbus/signalbus.conf", config, image, *configuration["Entrypoint"],
        *configuration["Cmd"]],
        environment=dict(variable.split("=", 1) for variable in configuration["Env"]))
    wait_until(lambda: schema.count("t") == 0 or not daemon.is_alive(), 60, "the signals sent")
    daemon.stop().expect(0)
