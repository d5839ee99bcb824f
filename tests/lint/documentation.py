"""What the tables of the program name has to stand in the manual, the help and the example."""
import re

from tree import ROOT, Failure, files, line_of, matching, output, text_of

MAN_PAGE = "man/signalbus.1"
SETTINGS_PAGE = "man/signalbus.conf.5"
EXAMPLE = "signalbus.conf.example"
ARCHITECTURE = "docs/architecture.md"
RULES = "conf/prometheus/signalbus.rules.yml"
RULES_TEST = "tests/watching/rules.test.yml"
DASHBOARD = "conf/grafana/signalbus.json"
BINARY = "build/signalbus"


def rows(name, table, row):
    """The texts that row, a regular expression, captures in a table of a source file, in order."""
    found = re.search(rf"\b{table}\[\] = \{{\n(.*?)\n\}};", text_of(name), re.DOTALL)
    texts = re.findall(row, found[1], re.MULTILINE) if found else []
    if not texts:
        raise Failure(f"{name}: no rows found in a table {table}[]; has its shape changed?")
    return texts


def options():
    return rows("src/cli/options.c", "options", r"^\t\{ '.',[^\"]*\"([^\"]+)\"")


def commands():
    return rows("src/cli/main.c", "commands", r"^\t\{ \"([^\"]+)\"")


def settings():
    row = r"^\t\{ \.name = \"([^\"]+)\""
    return [name for table in ("top_rows", "model_rows")
            for name in rows("src/config/settings.c", table, row)]


def metrics():
    return rows("src/daemon/metrics_exposition.c", "metrics", r"^\t\{ \"([^\"]+)\"")


def page(name):
    """A man page as people read it, each paragraph on one line."""
    text_of(name)
    printed = output("mandoc", "-T", "utf8", "-O", "width=1000", name)
    return re.sub(r".\x08", "", printed)


def help_text(*command):
    """What --help prints, of a program that is built from the sources as they are."""
    output("make", "-s", "--no-print-directory", BINARY)
    return output(str(ROOT / BINARY), *command, "--help")


def option(name):
    """Matches a line that begins with an option, such as a short one, and has the option name."""
    return rf"^\s*(?=-).*--{re.escape(name)}(?![\w-])"


def item(name):
    """Matches a line that begins with a name."""
    return rf"^\s*{re.escape(name)}(?![\w-])"


def assignment(name):
    """Matches a setting with its value; a comment is fine."""
    return rf"\b{re.escape(name)}\s*[=:]"


def lacking(file, text, what, names, pattern):
    """A finding for each name that text has less often than names has it: a setting of the program
    and one of a model may have the same name, and each is to be described."""
    for name in dict.fromkeys(names):
        if len(re.findall(pattern(name), text, re.MULTILINE)) < names.count(name):
            yield f"{file}:1: {what} {name} is missing"


def check_manual():
    """signalbus(1) describes each option and each command"""
    text = page(MAN_PAGE)
    yield from lacking(MAN_PAGE, text, "option", options(), option)
    yield from lacking(MAN_PAGE, text, "command", commands(), item)


def check_commands_of_options():
    """signalbus(1) says of each option which commands take it"""
    takers = rows("src/cli/main.c", "commands", r"^\t\{ \"([^\"]+)\", \w+, \"(\w*)\"")
    for letter, name in rows("src/cli/options.c", "options",
                             r"^\t\{ '(.)', \w+, false, \"([^\"]+)\""):
        wanted = [command for command, letters in takers if letter in letters]
        said = re.search(rf"^\.It .*Fl -{name}\b.*\n\.Cm (.*) :$", text_of(MAN_PAGE), re.MULTILINE)
        if said is None or said[1].split(" , ") != wanted:
            yield f"{MAN_PAGE}:1: option {name} is of the commands {', '.join(wanted)}"


def synopsis_options(text):
    """The options in a line of a synopsis, by their first names, and whether NAMEs are taken."""
    return set(re.findall(r"(?<![\w-])--?[\w-]+", text)), "name" in text.lower()


def check_synopsis():
    """the synopsis of signalbus(1) and the --help of each command agree, and each has more to say"""
    shown = re.search(r"^SYNOPSIS\n(.*?)\n\S", page(MAN_PAGE), re.DOTALL | re.MULTILINE)[1]
    row = r"^\t\{ \"([^\"]+)\", \w+, \"\w*\", \w+,\s*\"([^\"]*)\""
    found = rows("src/cli/main.c", "commands", row)
    for missing in set(commands()) - {name for name, _ in found}:
        yield f"src/cli/main.c:1: the row of {missing} has another shape"
    for name, synopsis in found:
        line = re.search(rf"^ *signalbus {name}\b(.*)$", shown, re.MULTILINE)
        if line is None or synopsis_options(line[1]) != synopsis_options(synopsis):
            yield f"{MAN_PAGE}:1: the synopsis of {name} is {synopsis}"
        if len(help_text(name)) < 400:
            yield f"src/cli/main.c:1: {name} --help says hardly anything"


def check_help():
    """--help names each option and each command"""
    text = help_text()
    yield from lacking("src/cli/options.c", text, "in --help, option", options(), option)
    yield from lacking("src/cli/main.c", text, "in --help, command", commands(), item)


def check_settings():
    """signalbus.conf(5) describes each setting"""
    yield from lacking(SETTINGS_PAGE, page(SETTINGS_PAGE), "setting", settings(), item)


def check_metrics():
    """signalbus(1) describes each metric"""
    yield from lacking(MAN_PAGE, page(MAN_PAGE), "metric", metrics(), item)


def check_watching():
    """rules and dashboard use metrics that there are, the dashboard all, and alerts have tests"""
    known = set(metrics())
    for file in RULES, DASHBOARD:
        text = text_of(file)
        for used in re.finditer(r"\b(?:signalbus|process)_\w+", text):
            if re.sub(r"_(bucket|count|sum)$", "", used[0]) not in known:
                yield f"{file}:{line_of(text, used.start())}: there is no metric {used[0]}"
    yield from lacking(DASHBOARD, text_of(DASHBOARD), "metric", metrics(),
                       lambda name: rf"\b{name}(_bucket|_count)?\b")
    for alert in re.findall(r"alert: (\w+)", text_of(RULES)):
        if not re.search(rf"alertname: {alert}\n +exp_alerts:", text_of(RULES_TEST)):
            yield f"{RULES_TEST}:1: no test expects the alert {alert}"


def check_example():
    """signalbus.conf.example has each setting"""
    yield from lacking(EXAMPLE, text_of(EXAMPLE), "setting", settings(), assignment)


def check_architecture():
    """docs/architecture.md names files and functions that there are"""
    text = text_of(ARCHITECTURE)
    sources = "".join(text_of(name) for name in matching(r"src/.*\.[ch]"))
    folders = {name.split("/")[1] for name in matching(r"src/.*\.[ch]")}
    for quoted in re.finditer(r"`([^`\n]+)`", text):
        line = f"{ARCHITECTURE}:{line_of(text, quoted.start())}"
        call = re.fullmatch(r"(\w+)\(\)", quoted[1])
        if call and not re.search(rf"\b{call[1]}\(", sources):
            yield f"{line}: there is no function {call[1]}()"
        folder, slash, _ = quoted[1].partition("/")
        path = rf"src/{re.escape(quoted[1])}" + ("" if "." in quoted[1] else r"(\.c|/?.*)")
        if slash and folder in folders and "…" not in quoted[1] and not any(
                re.fullmatch(path, name) for name in files()):
            yield f"{line}: there is no {quoted[1]} in src"
