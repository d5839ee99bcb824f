"""C, as far as the house rules need it.  It trusts clang-format and the compilers for the rest."""
import dataclasses
import re

from tree import line_of

COMMENT_OR_STRING = re.compile(r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""",
                               re.DOTALL)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.)*", re.MULTILINE | re.DOTALL)


def blank(match):
    """Spaces in place of a match, so that all else stays where it is."""
    return re.sub(r"[^\n]", " ", match[0])


def without_comments(text):
    return COMMENT_OR_STRING.sub(lambda m: blank(m) if m[0][0] == "/" else m[0], text)


def code_of(text):
    """The text without comments and what is in quotes."""
    return COMMENT_OR_STRING.sub(blank, text)


@dataclasses.dataclass
class Function:
    """A function's definition.  Lines count from 1."""
    name: str
    parameter_count: int
    line: int
    last_line: int
    code: str  # the body with its braces
    code_line: int


def functions(text):
    """The functions that a file defines outside of macros."""
    code = DIRECTIVE.sub(blank, code_of(text)).replace("END_TEST", "        ")
    start = depth = 0
    for brace in re.finditer(r"[{};]", code):
        if brace[0] == "{":
            if depth == 0:
                head, opening = code[start:brace.start()], brace.start()
            depth += 1
        elif brace[0] == "}":
            depth -= 1
            if depth == 0 and is_function(head):
                yield function(code, start, opening, brace.end())
                start = brace.end()
        elif depth == 0:
            start = brace.end()


def is_function(head):
    return head.rstrip().endswith(")") and "=" not in head


def function(code, start, opening, end):
    head = code[start:opening].rstrip()
    depth = 0
    for at in range(len(head) - 1, -1, -1):  # back to what opens the parameters
        depth += {")": 1, "(": -1}.get(head[at], 0)
        if depth == 0:
            break
    parameters = head[at + 1:-1]
    name = re.search(r"\w*$", head[:at].rstrip())[0]
    if name == "START_TEST":  # of Check
        name, parameters = parameters, ""
    # What stands before a blank line, such as the call of a macro, is not of this function.
    paragraph = re.split(r"\n[ \t]*\n", head)[-1].lstrip()
    return Function(name, count_parameters(parameters),
                    line_of(code, start + len(head) - len(paragraph)), line_of(code, end - 1),
                    code[opening:end], line_of(code, opening))


def count_parameters(parameters):
    inner = 1
    while inner > 0:  # what parameters that are functions have in brackets
        parameters, inner = re.subn(r"\([^()]*\)", "_", parameters)
    return len([p for p in parameters.split(",") if p.strip() not in ("", "void", "...")])


class Nesting:
    """How deep the statements of a function lie in if, else, for, while, do and switch."""

    TOKEN = re.compile(r"\w+|[^\w\s]")

    def __init__(self, function):
        self.tokens = [(m[0], function.code_line + function.code.count("\n", 0, m.start()))
                       for m in self.TOKEN.finditer(function.code)]
        self.at = 0
        self.deepest = (0, function.line)  # depth and line
        self.statement(0)

    def token(self, ahead=0):
        index = self.at + ahead
        return self.tokens[index][0] if index < len(self.tokens) else ""

    def statement(self, depth):
        self.skip_labels()
        if self.token() in ("", "}"):
            return
        self.deepest = max(self.deepest, (depth, self.tokens[self.at][1]), key=lambda d: d[0])
        word = self.token()
        if word == "{":
            self.at += 1
            while self.token() not in ("}", ""):
                self.statement(depth)
            self.at += 1
        elif word in ("if", "for", "while", "switch"):
            self.at += 1
            self.skip_group()
            self.statement(depth + 1)
            self.alternative(depth)
        elif word == "do":
            self.at += 1
            self.statement(depth + 1)
            self.skip_to_semicolon()
        else:
            self.skip_to_semicolon()

    def alternative(self, depth):
        """What follows else; else if is no deeper than its if."""
        if self.token() == "else":
            self.at += 1
            self.statement(depth if self.token() == "if" else depth + 1)

    def skip_labels(self):
        while self.token() in ("case", "default") or self.token(1) == ":":
            while self.token() not in (":", ""):
                self.at += 1
            self.at += 1

    def skip_group(self):
        """From an opening bracket to after the one that closes it."""
        depth = 0
        while self.token() != "":
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(self.token(), 0)
            self.at += 1
            if depth == 0:
                return

    def skip_to_semicolon(self):
        while self.token() not in (";", ""):
            if self.token() in ("(", "[", "{"):
                self.skip_group()
            else:
                self.at += 1
        self.at += 1
