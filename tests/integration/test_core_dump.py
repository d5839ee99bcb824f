"""The memory of signalbus, which has passwords, stays out of files and out of the hands of others."""

import os
import pwd
import signal

import pytest

from runner import model
from servers import Process

BOTH = pytest.mark.parametrize("core_dumps", [False, True])


@pytest.fixture
def daemon(signalbus, schema, make_topic, core_dumps):
    """Not root's, and with a limit that allows cores."""
    settings = {"core_dumps": True} if core_dumps else {}
    path = signalbus.configure(model("A", schema.make_signals("t"), make_topic()), **settings)
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        for each in (path, path.parent):
            os.chown(each, pwd.getpwnam(user).pw_uid, -1)
        path.parent.parent.chmod(0o711)
    prlimit = ["prlimit", "--core=unlimited:unlimited", *Process.setpriv(user, "KILL")]
    running = signalbus.start(command=prlimit + signalbus.command(["run"]))
    running.wait_log("connected")
    return running


@BOTH
def test_a_crash_leaves_no_core_unless_it_is_meant_to(daemon, core_dumps):
    with open(f"/proc/{daemon.pid}/limits", encoding="ascii") as limits:
        [soft] = [line.split()[4] for line in limits if line.startswith("Max core file size")]
    assert soft == ("unlimited" if core_dumps else "0")
    owner = os.stat(f"/proc/{daemon.pid}/mem").st_uid  # root's unless it may be dumped: proc(5)
    assert (owner != 0) == core_dumps
    daemon.send(signal.SIGABRT)
    _, status = os.waitpid(daemon.pid, 0)
    daemon.popen.returncode = -signal.SIGABRT
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert core_dumps or not os.WCOREDUMP(status)
