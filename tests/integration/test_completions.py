"""
The completions of conf/completions in a real bash and a real zsh, on a terminal: the line is
typed, a key inserts all completions, and another key saves the line.
"""

import os
import pty
import select
import shlex
import shutil
import signal
import subprocess

import pytest

from libconfig import render
from runner import BINARY, model
from servers import ROOT, clean_environment, wait_until

COMPLETIONS = ROOT / "conf" / "completions"
INSERT_ALL, SAVE = "\x18a", "\x18s"

SETUP = {
    "bash": """
. /usr/share/bash-completion/bash_completion
. {completions}/signalbus.bash
bind '"\\C-xa": insert-completions'
save() {{ printf '%s\\n' "$READLINE_LINE" >line.new; mv line.new line; READLINE_LINE=; }}
bind -x '"\\C-xs": save'
""",
    "zsh": """
fpath=({completions} $fpath)
autoload -U compinit; compinit -u -d ./dump
zstyle ':completion:*' completer _all_matches _complete
zstyle ':completion:*' insert true
zle -C insert-all complete-word _generic
bindkey '^Xa' insert-all
save() {{ printf '%s\\n' "$BUFFER" >line.new; mv line.new line; BUFFER= }}
zle -N save; bindkey '^Xs' save
""",
}
COMMANDS = {"bash": ["bash", "--noprofile", "--rcfile", "setup", "-i"], "zsh": ["zsh", "-d", "-i"]}
SHELLS = {"bash": "bash-completion", "zsh": "zsh"}
every_shell = pytest.mark.parametrize("shell", SHELLS, indirect=True, scope="module")


class Shell:
    """A shell on a terminal, with the binary under test as signalbus."""

    def __init__(self, name, folder):
        assert shutil.which(name), f"{name}: not found; install {SHELLS[name]}"
        self.name = name
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "bin/signalbus").symlink_to(BINARY)
        setup = SETUP[name].format(completions=shlex.quote(str(COMPLETIONS)))
        for file in "setup", ".zshrc":
            (folder / file).write_text(setup + ": >ready\n")
        environment = clean_environment(
            HOME=str(folder), ZDOTDIR=str(folder), TERM="dumb", INPUTRC="/dev/null", LC_ALL="C.UTF-8",
            PATH=f"{folder}/bin:/usr/bin:/bin", SIGNALBUS_CONFIG=str(folder / "signalbus.conf"))
        self.terminal, other = pty.openpty()
        self.popen = subprocess.Popen(COMMANDS[name], stdin=other, stdout=other, stderr=other,
                                      cwd=folder, env=environment, start_new_session=True)
        os.close(other)
        self.output = b""
        self.wait_for("ready")

    def wait_for(self, file):
        """Waits until the shell has written a file, and reads what it prints meanwhile."""
        def is_there():
            while select.select([self.terminal], [], [], 0.01)[0]:
                self.output += os.read(self.terminal, 65536)
            return (self.folder / file).exists()
        try:
            wait_until(is_there, 30, f"{self.name} wrote {file}", pause=0)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output.decode(errors='replace')}") from None

    def complete(self, line):
        """The words that stand for the last one of the line after its completion."""
        before = shlex.split(line + "|")[:-1]
        os.write(self.terminal, (line + INSERT_ALL + SAVE).encode())
        self.wait_for("line")
        completed = shlex.split((self.folder / "line").read_text())
        (self.folder / "line").unlink()
        assert completed[:len(before)] == before, completed
        return completed[len(before):]

    def end(self):
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()
        os.close(self.terminal)


@pytest.fixture(scope="module")
def shell(request, workspace):
    folder = workspace / f"completion-{request.param}"
    folder.mkdir()
    configuration = {"kafka": {"bootstrap_servers": "localhost:9092"}}
    (folder / "signalbus.conf").write_text(render({**configuration, "models": [
        model("OrderCreated", "a"), model("OrderPaid", "b"), model("Mail it", "c", "mail")]}))
    (folder / "other.conf").write_text(render({**configuration, "models": [model("Other", "a")]}))
    running = Shell(request.param, folder)
    yield running
    running.end()


def of_help(*command):
    """The options and the commands of --help."""
    lines = subprocess.run([BINARY, *command, "--help"], check=True, text=True,
                           capture_output=True).stdout.splitlines()
    options = {word.rstrip(",") for line in lines if line.lstrip().startswith("-")
               for word in line.split()[:2] if word.startswith("-")}
    return options, {line.split()[0] for line in lines if line[:2] == "  " and line[2:3].isalpha()}


@every_shell
def test_commands_are_completed(shell):
    _, commands = of_help()
    assert len(commands) > 10
    assert set(shell.complete("signalbus ")) == commands
    assert set(shell.complete("signalbus -c other.conf -v flush")) == {
        "flush", "flushmany", "flushordered"}


@every_shell
def test_options_are_completed(shell):
    for command in (), ("flushmany",), ("dead-letters",):
        options, _ = of_help(*command)
        completed = set(shell.complete(" ".join(["signalbus", *command, "--"])))
        assert {word.rstrip("=") for word in completed} == {
            option for option in options if option.startswith("--")}


@every_shell
@pytest.mark.parametrize("line, words", [
    ("signalbus flush Order", ["OrderCreated", "OrderPaid"]),
    ("signalbus flushmany -j 2 M", ["Mail it"]),
    ("signalbus flush -w 1 -e OrderP", ["OrderPaid"]),
    ("signalbus dead-letters ", ["Mail it", "OrderCreated", "OrderPaid"]),
    ("signalbus schema Mail", ["Mail it"]),
    ("signalbus -c other.conf pending ", ["Other"]),
    ("signalbus --config=other.conf pause ", ["Other"]),
    ("signalbus -c oth", ["other.conf"]),
    ("signalbus run ", []),
    ("signalbus flush -w ", []),
])
def test_models_are_completed(shell, line, words):
    completed = shell.complete(line)
    # If no word fits, zsh offers the options.
    assert sorted(word for word in completed if not word.startswith("-")) == words
