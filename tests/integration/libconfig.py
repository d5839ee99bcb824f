"""Writes libconfig's syntax from Python's values: a dict is a group, a list is a list."""

ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\f": "\\f"}


def render(settings):
    """The text of a configuration file; each top level setting starts a line of its own."""
    return "".join(f"{name} = {render_value(value)};\n" for name, value in settings.items())


def render_value(value):
    for kind, writer in WRITERS:
        if isinstance(value, kind):
            return writer(value)
    raise TypeError(f"libconfig has nothing for {value!r}")


def render_group(group):
    members = "".join(f" {name} = {render_value(value)};" for name, value in group.items())
    return "{" + members + " }"


def render_list(items):
    return "( " + ", ".join(render_value(item) for item in items) + " )"


def render_integer(number):
    return str(number) if -2**31 <= number < 2**31 else f"{number}L"


def render_string(text):
    return '"' + "".join(ESCAPES.get(character, character) for character in text) + '"'


WRITERS = (
    (bool, lambda value: "true" if value else "false"),
    (int, render_integer),
    (float, repr),
    (str, render_string),
    (dict, render_group),
    ((list, tuple), render_list),
)
