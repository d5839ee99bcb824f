"""What no text file of the repository may hold."""
import re

from tree import files, text_of

# Written so that the expressions do not match themselves.
RULES = [
    (r"/(work|root)/", "a path of somebody's machine"),
    (r"\brepo1?\.maven|\b(deb|security)\.debian\.org|\barchive\.ubuntu\.com|"
     r"\b(test\.)?pypi\.org|\bfiles\.pythonhosted\.org|\bregistry\.npmjs\.org|\bcrates\.io|"
     r"\bproxy\.golang\.org|\bdocker\.io|\bghcr\.io",
     "a registry's host name: that is a matter of the machine's configuration"),
    (r"\bTOD[O]\b(?!: \w+ \w+ \w+)", "no reason to stay: write TOD" "O: and the reason"),
    (r"\b(FIXM[E]|XX[X])\b", "write BUG: and the consequence"),
    (r"[ \t\r]+$", "white space at the end of the line"),
]


def check_texts():
    """no machine paths, registries, marks without a reason, or white space at ends of lines"""
    for name in files():
        text = text_of(name)
        if "\0" in text or name.startswith("tests/fuzz/corpus/"):  # an image, say
            continue
        for number, line in enumerate(text.split("\n"), 1):
            for pattern, message in RULES:
                if re.search(pattern, line):
                    yield f"{name}:{number}: {message}"
        if text and not text.endswith("\n"):
            yield f"{name}:{number}: no line feed at the end of the file"
