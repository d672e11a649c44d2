"""Source files as the rules want to see them: by line, with comments and strings blanked."""

import os
import re
import subprocess

TOKEN = re.compile(
    r"""
      (?P<block>/\*.*?\*/)
    | (?P<line>//[^\n]*)
    | (?P<string>"(?:\\.|[^"\\\n])*")
    | (?P<char>'(?:\\.|[^'\\\n])*')
    """,
    re.DOTALL | re.VERBOSE,
)


class Problem:
    """One finding, printed as file:line: rule: what."""

    def __init__(self, path, line, rule, text):
        self.path, self.line, self.rule, self.text = path, line, rule, text

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.text}"


def _blank(match, keep):
    text = match.group(0)
    if match.lastgroup in keep:
        return text
    return re.sub(r"[^\n]", " ", text)


class Source:
    """One file. `code` has neither comments nor literals, `comments` nothing else."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.splitlines()
        self.folder = path.split("/")[0]
        self.is_c = path.endswith((".c", ".h"))
        self.is_header = path.endswith(".h")
        self.is_test = self.folder == "tests"
        self._code = None

    @classmethod
    def load(cls, root, path):
        with open(os.path.join(root, path), encoding="utf-8") as f:
            return cls(path, f.read())

    @property
    def code(self):
        if self._code is None:
            self._code = TOKEN.sub(lambda m: _blank(m, ()), self.text)
        return self._code

    def comments(self):
        """(line number, text) of each line within a comment."""
        if self.is_c:
            for m in TOKEN.finditer(self.text):
                if m.lastgroup in ("block", "line"):
                    first = self.text.count("\n", 0, m.start()) + 1
                    for i, line in enumerate(m.group(0).splitlines()):
                        yield first + i, line
        else:
            for i, line in enumerate(self.lines, 1):
                if "#" in line:
                    yield i, line[line.index("#") :]

    def problem(self, line, rule, text):
        return Problem(self.path, line, rule, text)

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def functions(self):
        """(name, first line, last line) of each function: clang-format puts both braces of a
        body, and nothing else, at the start of a line of their own."""
        lines = self.code.splitlines()
        start = None
        for i, line in enumerate(lines):
            if line.rstrip() == "{":
                start = i
                while start > 0 and lines[start - 1].strip() not in ("", "}", "};"):
                    start -= 1
            elif line.rstrip() == "}" and start is not None:
                head = " ".join(lines[start : i + 1]).split("{")[0]
                m = re.search(r"(\w+)\s*\(", head)
                yield (m.group(1) if m else "?"), start + 1, i + 1
                start = None


def repository_files(root):
    """Every file that git knows of or would add, below root."""
    out = subprocess.run(
        ["git", "-C", root, "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"],
        check=True, stdout=subprocess.PIPE,
    ).stdout.decode()
    return sorted(p for p in set(out.split("\0")) if p and os.path.isfile(os.path.join(root, p)))


def is_script(root, path):
    """A python or shell file, by its name or by its first line."""
    if path.endswith((".py", ".sh")) or os.path.basename(path) in ("meson.build", "Makefile"):
        return True
    if "." in os.path.basename(path) or path.startswith("."):
        return False
    with open(os.path.join(root, path), "rb") as f:
        return f.read(2) == b"#!"


def load_sources(root):
    sources = []
    for path in repository_files(root):
        if path.endswith((".c", ".h")) or is_script(root, path):
            sources.append(Source.load(root, path))
    return sources
