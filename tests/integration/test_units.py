"""
What is in conf, as `make install` installs it, and where the daemon may have to live: under
systemd's restrictions, without libsystemd, and as process 1.

systemd itself need not run: systemd-analyze, systemd-sysusers and systemd-tmpfiles work on files.
"""

import os
import re
import shutil
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from runner import BINARY, counts_lines, is_sanitized, model
from servers import ROOT, Ports, clean_environment, wait_until

UNITS = ("signalbus.service", "signalbus@.service")
every_unit = pytest.mark.parametrize("name", UNITS)

EXPOSURE_MAX = 1.5
DEFAULT_TIMEOUT = 30  # the setting timeout


def require(tool, package="systemd"):
    assert shutil.which(tool), f"{tool}: not found; install {package} (tests/install-deps test)"
    return tool


def run(*command):
    """What a command that succeeds says, its log included."""
    require(command[0], "make" if command[0] == "make" else "systemd")
    result = subprocess.run([str(word) for word in command], cwd=ROOT, timeout=200, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, env=environment())
    assert result.returncode == 0, f"{command}: status {result.returncode}\n{result.stdout}"
    return result.stdout


def environment():
    """Without the variables of a make that runs these tests."""
    return {name: value for name, value in clean_environment().items()
            if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}


def make_install(*variables, target="install"):
    """Installs, or what target says, the binary under test as it is."""
    run("make", "-s", "-o", "all", target, f"BINARY={BINARY}", *variables)


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def prefix(workspace):
    """An installation whose paths are there, as its units name them."""
    prefix = workspace / "installed" / "usr"
    make_install(f"PREFIX={prefix}", f"sysconfdir={prefix.parent}/etc")
    return prefix


def unit_file(prefix, name):
    return prefix / "lib/systemd/system" / name


def settings(path):
    """The settings of a unit: for each name all values."""
    found = {}
    for line in path.read_text().splitlines():
        if line and line[0] not in "#[":
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|min)", text).groups()
    return int(number) * {"s": 1, "min": 60}[unit]


def test_it_installs_and_uninstalls(folder):
    root = folder / "a root"
    make_install(f"DESTDIR={root}", "PREFIX=/usr")
    assert {"usr/bin/signalbus", "usr/lib/systemd/system/signalbus.service",
            "usr/lib/systemd/system/signalbus@.service", "usr/lib/sysusers.d/signalbus.conf",
            "usr/lib/tmpfiles.d/signalbus.conf", "usr/share/doc/signalbus/signalbus.cron",
            "usr/share/man/man1/signalbus.1", "usr/share/zsh/site-functions/_signalbus",
            "usr/share/bash-completion/completions/signalbus"} <= files_below(root)
    for name in files_below(root) - {"usr/bin/signalbus"}:
        assert (root / name).stat().st_mode & 0o777 == 0o644, name
    (root / "etc/signalbus/signalbus.conf").write_text("mine")
    make_install(f"DESTDIR={root}", "PREFIX=/usr", target="uninstall")
    assert files_below(root) == {"etc/signalbus/signalbus.conf"}
    for name in "usr/lib/systemd", "usr/share/bash-completion", "usr/share/zsh":
        assert not (root / name).exists()
    (root / "etc/signalbus/signalbus.conf").unlink()
    for _ in range(2):
        make_install(f"DESTDIR={root}", "PREFIX=/usr", target="uninstall")
    assert not (root / "etc/signalbus").exists()


def test_paths_follow_the_installation(folder):
    make_install(f"DESTDIR={folder}", "PREFIX=/opt/bus", "sysconfdir=/opt/etc")
    prefix = folder / "opt/bus"
    for name, config in zip(UNITS, ("signalbus", "%i")):
        assert settings(unit_file(prefix, name))["ExecStart"] == [
            f"/opt/bus/bin/signalbus -c /opt/etc/signalbus/{config}.conf run"]
    assert "d     /opt/etc/signalbus " in (prefix / "lib/tmpfiles.d/signalbus.conf").read_text()
    documents = {f"share/doc/signalbus/{name}"
                 for name in ("signalbus.cron", "signalbus.conf.example", "README.md")}
    pages = {"share/man/man1/signalbus.1", "share/man/man5/signalbus.conf.5"}
    for name in {f"lib/{name}" for name in files_below(prefix / "lib")} | documents | pages:
        text = (prefix / name).read_text()
        assert "/usr/local/" not in text and "/etc/signalbus" not in text.replace("/opt/etc", "")


def test_the_program_follows_the_installation_too(folder):
    """Also if it was built for another one before; and it is not built again for the same one."""
    program = folder / "src/cli/options.o"

    def make(*variables):
        run("make", "-s", f"BUILD={folder}", *variables, program)
        return program.stat().st_mtime_ns

    make()
    assert b"/etc/signalbus/signalbus.conf" in program.read_bytes()
    moved = make("sysconfdir=/opt/etc")
    assert b"/opt/etc/signalbus/signalbus.conf" in program.read_bytes()
    assert make("sysconfdir=/opt/etc") == moved


def test_links_of_the_installed_documents(folder):
    make_install(f"DESTDIR={folder}", "PREFIX=/usr")
    documents = folder / "usr/share/doc/signalbus"
    for page in documents.rglob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page}: {link}"


def needed_libraries():
    """The names of what the program is linked with, without the C library."""
    named = re.findall(r"\(NEEDED\).*\[(?:lib)?(.*)\.so", run("readelf", "-dW", BINARY))
    return set(named) - {"c", "m", "ld-linux-x86-64", "gcov"}


@pytest.mark.skipif(is_sanitized() or counts_lines(), reason="built for something else")
def test_the_program_is_hardened():
    """As Debian's hardening-check does it; the compiler's flags are in the debug information."""
    dynamic, headers, symbols = (run("readelf", flag, BINARY) for flag in ("-dW", "-lW", "-sW"))
    assert "BIND_NOW" in dynamic and "PIE" in dynamic
    assert "GNU_RELRO" in headers and not re.search(r"GNU_STACK .*E", headers)
    assert "__stack_chk_fail" in symbols and "__vsnprintf_chk" in symbols
    producers = set(re.findall(r"DW_AT_producer.*: (.*)",
                               run("readelf", "--debug-dump=info", "-W", BINARY)))
    assert producers
    for flags in producers:
        for flag in ("-fstack-clash-protection", "-fstack-protector-strong"):
            assert flag in flags
        assert "-fcf-protection" in flags or os.uname().machine != "x86_64"


def test_paths_of_the_build_are_not_in_the_program():
    assert str(ROOT).encode() not in BINARY.read_bytes()


def test_the_list_of_dependencies_has_all_libraries(prefix):
    text = (prefix / "share/doc/signalbus/signalbus.spdx").read_text()
    listed = set(re.findall(r"SPDXRef-signalbus DYNAMIC_LINK SPDXRef-(?:lib)?(\S+)", text))
    assert listed == needed_libraries()
    assert len(re.findall(r"^PackageLicenseDeclared: [\w.-]+$", text, re.M)) == len(listed) + 1
    unknown = subprocess.run([ROOT / "conf/spdx", "1.0", "zlib"], text=True, capture_output=True)
    assert unknown.returncode != 0 and "which licence has zlib?" in unknown.stderr


def test_make_without_pkg_config(folder):
    """It is about to be installed."""
    (folder / "bin").mkdir()
    for tool in ("make", "sh", "awk"):
        (folder / "bin" / tool).symlink_to(shutil.which(tool))
    shown = subprocess.run(["make", "help"], cwd=ROOT, stderr=subprocess.STDOUT, text=True,
                           stdout=subprocess.PIPE, env={"PATH": str(folder / "bin")})
    assert shown.returncode == 0 and "not found" not in shown.stdout, shown.stdout


@every_unit
def test_the_units_are_valid(prefix, name):
    assert run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
               unit_file(prefix, name)) == ""


@every_unit
def test_the_units_are_hardened(prefix, name):
    run("systemd-analyze", "security", "--offline=true", "--no-pager",
        f"--threshold={EXPOSURE_MAX * 10:.0f}", unit_file(prefix, name))


@every_unit
def test_the_units_say_what_the_daemon_needs(prefix, name):
    unit = settings(unit_file(prefix, name))
    wanted = {
        "Type": "notify", "Restart": "always",
        "RestartPreventExitStatus": "2 78", "StartLimitIntervalSec": "0",
        "TimeoutStartSec": "infinity", "User": "signalbus", "ConfigurationDirectory": "signalbus",
        "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6", "Wants": "network-online.target",
        "WantedBy": "multi-user.target",
    }
    assert {setting: unit.get(setting) for setting in wanted} == {
        setting: [value] for setting, value in wanted.items()}
    check, kill = unit["ExecReload"]
    assert check == unit["ExecStart"][0].removesuffix("run") + "check --config-only"
    assert kill == "/bin/kill -HUP $MAINPID"
    assert {"network-online.target", "postgresql.service"} <= set(unit["After"][0].split())
    # is_alive() of src/daemon/daemon.c, and what a stop may take
    assert seconds(unit["WatchdogSec"][0]) > 4 * DEFAULT_TIMEOUT + 10
    assert seconds(unit["TimeoutStopSec"][0]) > 2 * DEFAULT_TIMEOUT


def test_a_reload_of_an_invalid_file_fails(prefix):
    """systemd hides credentials from ExecReload, so secrets must not be read."""
    check, _ = settings(unit_file(prefix, UNITS[0]))["ExecReload"]
    config = prefix.parent / "etc/signalbus/signalbus.conf"
    for count, status in (1, 0), (0, 78):
        config.write_text('database = { file = "/run/credentials/nowhere"; };\n'
                          'kafka = { bootstrap_servers = "nowhere.invalid"; '
                          'sasl_password = { env = "NOWHERE"; }; };\n'
                          f'models = ( {{ name = "A"; table = "a"; burst_count = {count}; }} );\n')
        result = subprocess.run(check.split(), timeout=30, text=True, capture_output=True)
        assert (result.returncode, result.stdout) == (status, "")
        assert ("signalbus.conf:3: burst_count" in result.stderr) == (status == 78), result.stderr
        assert not status == 0 or result.stderr == ""


def test_the_template_is_the_unit_for_an_instance():
    instance = (ROOT / "conf" / UNITS[1]).read_text().replace(" (%i)", "")
    for placeholder in ("/%i.conf", "/%i-kafka-password", "@NAME.service/"):
        assert placeholder in instance
        plain = re.sub(r"%i-?|@NAME", "", placeholder).replace("/.conf", "/signalbus.conf")
        instance = instance.replace(placeholder, plain)
    body = slice(instance.index("[Unit]"), None)
    service = (ROOT / "conf" / UNITS[0]).read_text()
    assert instance[body] == service[service.index("[Unit]"):]


def test_the_user_can_be_made(prefix, folder):
    entry = prefix / "lib/sysusers.d/signalbus.conf"
    (folder / "etc").mkdir()
    said = run("systemd-sysusers", "--dry-run", f"--root={folder}", entry)
    assert "Creating user 'signalbus'" in said
    assert {settings(unit_file(prefix, name))["User"][0] for name in UNITS} == {"signalbus"}


def test_the_folder_of_configurations_can_be_made(folder):
    """As an ordinary user, systemd-tmpfiles can make it, but not give it to root."""
    entry = folder / "entry.conf"
    text = (ROOT / "conf/signalbus.tmpfiles").read_text()
    entry.write_text(text if os.geteuid() == 0 else text.replace(" root root ", " -    -    "))
    run("systemd-tmpfiles", "--create", f"--root={folder}", entry)
    assert (folder / "etc/signalbus").stat().st_mode & 0o777 == 0o755


def test_the_lines_for_cron_are_lines_of_cron():
    lines = [line[1:] for line in (ROOT / "conf/signalbus.cron").read_text().splitlines()
             if re.match(r"#\S", line)]
    assert len(lines) == 3
    help_text = run(BINARY, "--help")
    for line in lines:
        *times, user, command = line.split(maxsplit=6)
        assert len(times) == 5 and user == "signalbus"
        assert re.search(r"^  %s " % re.search(r"\.conf (\w+)", command)[1], help_text, re.M)


def system_calls(group):
    """The system calls of a group, and of the groups that it holds."""
    calls = set()
    for line in run("systemd-analyze", "syscall-filter", "--no-pager", group).splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            calls |= system_calls(word)
        elif word and not word.startswith("#"):
            calls.add(word)
    return calls


def allowed_calls(unit):
    """What SystemCallFilter leaves; systemd.exec(5): @default is implied."""
    allowed = system_calls("@default")
    for value in unit["SystemCallFilter"]:
        calls = set().union(*(system_calls(group) for group in value.lstrip("~").split()))
        allowed = allowed - calls if value.startswith("~") else allowed | calls
    return allowed


@pytest.mark.skipif(is_sanitized(), reason="a sanitizer makes system calls of its own")
def test_the_filter_leaves_what_the_daemon_calls(signalbus, schema, make_topic, prefix, folder):
    table = schema.make_signals("t", 5)
    port = Ports.take()
    signalbus.configure(model("A", table, make_topic()), poll_interval=0.1,
                        metrics_listen=f"127.0.0.1:{port}")
    trace = folder / "trace"
    traced = [require("strace", "strace"), "-D", "-f", "-o", trace, "--"]
    daemon = signalbus.start(command=[*traced, *signalbus.command(["run"])])
    wait_until(lambda: schema.count("t") == 0, 60, "the signals sent")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as page:
        assert b"signalbus_sent_total" in page.read()
    daemon.send(signal.SIGHUP)
    daemon.wait_log("configuration reloaded")
    daemon.stop().expect(0)
    wait_until(lambda: re.search(rf"^{daemon.pid} .*exited with 0 ", trace.read_text(), re.M), 20,
               "all of the trace")
    text = trace.read_text()
    calls = set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)", text, re.M))
    assert {"execve", "connect", "accept4", "exit_group"} <= calls
    assert calls <= allowed_calls(settings(unit_file(prefix, UNITS[0])))
    assert not re.search(r"PROT_WRITE\|PROT_EXEC", text)  # MemoryDenyWriteExecute


@pytest.fixture(scope="module")
def without_libsystemd(workspace):
    """
    A build as it comes to be where there is no libsystemd.  Just one source knows; objects of the
    others are taken as they are, unless they are a sanitizer's or count lines.
    """
    build = workspace / "without-libsystemd"
    objects = BINARY.parent / "src"
    if objects.exists() and not is_sanitized() and not counts_lines():
        shutil.copytree(objects, build / "src")
        for source in (ROOT / "src").rglob("*.c"):
            if "HAVE_SYSTEMD" in source.read_text():
                (build / source.relative_to(ROOT)).with_suffix(".o").unlink()
    run("make", "-s", "-j2", f"BUILD={build}", "HAVE_SYSTEMD=", "CFLAGS=-O1")
    return build / "signalbus"


def sends_and_stops(schema, daemon, send=None):
    """The daemon runs in the foreground, sends what there is, and ends when asked to."""
    wait_until(lambda: schema.count("t") == 0 or not daemon.is_alive(), 60, "the signals sent")
    assert daemon.is_alive(), daemon.completed()
    (send or daemon.send)(signal.SIGTERM)
    daemon.finish().expect(0)
    assert daemon.log().count("info: started") == 1 and "info: stopped" in daemon.log()


def test_it_does_without_libsystemd(signalbus, schema, make_topic, without_libsystemd):
    assert "libsystemd" not in run("ldd", without_libsystemd)
    config = signalbus.configure(model("A", schema.make_signals("t", 3), make_topic()))
    daemon = signalbus.start(command=[without_libsystemd, "-c", config, "run"],
                             environment={"NOTIFY_SOCKET": "/nowhere"})
    sends_and_stops(schema, daemon)


@every_unit
def test_systemd_waits_for_nothing_without_libsystemd(folder, name):
    prefix = folder / "usr"
    make_install(f"PREFIX={prefix}", f"sysconfdir={folder}/etc", "HAVE_SYSTEMD=")
    unit = settings(unit_file(prefix, name))
    assert unit["Type"] == ["exec"] and "WatchdogSec" not in unit
    run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit_file(prefix, name))


def test_it_works_as_process_1(signalbus, schema, make_topic):
    signalbus.configure(model("A", schema.make_signals("t", 3), make_topic()))
    namespace = [require("unshare", "util-linux"), "--pid", "--fork", "--mount-proc",
                 "--kill-child"]
    if os.geteuid() != 0:
        namespace += ["--user", "--map-root-user"]
    daemon = signalbus.start(command=[*namespace, *signalbus.command(["run"])])

    def send(number):
        child, = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
        status = Path(f"/proc/{child}/status").read_text()
        assert re.search(r"^NSpid:.*\t1$", status, re.M), status
        os.kill(int(child), number)
    sends_and_stops(schema, daemon, send)
