"""Checks that other programs make."""
import ast
import warnings

from tree import (
    C_FILES, C_SOURCES, ROOT, files, findings_of, matching, output, run, run_each, scripts, text_of)

WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wformat=2", "-Wmissing-prototypes",
            "-Wstrict-prototypes", "-Werror"]
LIBRARIES = ["libpq", "rdkafka", "libcjson", "libconfig", "libsystemd", "libmicrohttpd", "check"]


def compile_flags():
    """The flags without which the sources do not compile."""
    libraries = output("pkg-config", "--cflags", *LIBRARIES).split()
    return ["-std=c11", "-D_GNU_SOURCE", "-Isrc", "-pthread", *libraries]


def findings_of_each(commands, notes=False):
    return [found for result in run_each(commands) for found in findings_of(result, notes)]


def check_format():
    """the sources are as clang-format with .clang-format writes them"""
    sources = matching(C_FILES)
    return findings_of(run("clang-format", "--dry-run", "-Werror", *sources))


def check_warnings():
    """gcc, which finds more when it optimizes, and clang compile without a warning"""
    sources = matching(C_SOURCES)
    flags = [*compile_flags(), *WARNINGS]
    gcc = ["gcc", *flags, "-O2", "-D_FORTIFY_SOURCE=2", "-S", "-o", "/dev/null"]
    clang = ["clang", *flags, "-fsyntax-only"]
    return findings_of_each([*compiler, s] for s in sources for compiler in (gcc, clang))


def check_clang_tidy():
    """clang-tidy finds nothing of what .clang-tidy chooses"""
    # One process a file: given several, version 14 thinks that va_start() sets nothing.
    command = ["clang-tidy", "--quiet", "--warnings-as-errors=*"]
    flags = compile_flags()
    return findings_of_each([*command, s, "--", *flags] for s in matching(C_SOURCES))


def check_cppcheck():
    """cppcheck finds nothing"""
    return findings_of(run(
        "cppcheck", "--quiet", "--enable=warning,performance,portability", "--inline-suppr",
        "--error-exitcode=1", "--std=c11", "-D_GNU_SOURCE", "-Isrc",
        "--template={file}:{line}: {message} [{id}]", *matching(C_SOURCES)))


def check_shellcheck():
    """shellcheck finds nothing in the shell scripts"""
    shell_files = [*scripts("(ba|da)?sh"), *matching(r".*\.bash")]
    return findings_of(run("shellcheck", "--format=gcc", *shell_files), notes=True)


def check_mandoc():
    """mandoc has no warning about the man pages"""
    return findings_of(run("mandoc", "-T", "lint", "-W", "warning", *matching(r"man/.*\.[15]")))


def check_python():
    """Python compiles the Python scripts without a warning"""
    found = []
    names = {n for n in files() if n.endswith(".py")} | set(scripts(r"python3"))
    for name in sorted(names):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                compile(text_of(name), ROOT / name, "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
        except SyntaxError as e:
            found.append(f"{name}:{e.lineno}: {e.msg}")
    return found
