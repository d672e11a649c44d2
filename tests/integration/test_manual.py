"""The manual pages are what --help says: read as a reader sees them, and compared both ways."""

import os
import re
import subprocess

import pytest

from croft_harness import BUILD, ROOT, program

PAGES = {
    "croft.1": os.path.join(BUILD, "docs", "man", "croft.1"),
    "croftd.8": os.path.join(BUILD, "docs", "man", "croftd.8"),
    "croft-supervisor.8": os.path.join(ROOT, "docs", "man", "croft-supervisor.8"),
}
OPTION = re.compile(r"(?:-\w, )?--[a-z0-9-]+(?: [^\s]+)?$")


def run(*argv):
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60)


def words(text):
    return " ".join(text.split())


def help_options(text):
    """Option -> what it is for. Continued lines are those that are indented more."""
    options, last = {}, None
    for line in text.splitlines():
        found = re.match(r" {2,6}((?:-\w, )?--[a-z0-9-]+(?: \S+)?)(?: {2,}(.*))?$", line)
        if found:
            last = words(found.group(1))
            assert last not in options, f"{last} twice"
            options[last] = found.group(2) or ""
        elif last and line.startswith(" " * 20):
            options[last] = words(f"{options[last]} {line}")
        else:
            last = None
    return options


def rendered(page):
    """Its lines, unfilled: whoever's paragraph, it is one line."""
    result = run("mandoc", "-T", "ascii", "-O", "width=1000,indent=5", PAGES[page])
    return re.sub(".\x08", "", result.stdout).expandtabs().splitlines()


def section(lines, name):
    start = lines.index(name) + 1
    for end in range(start, len(lines)):
        if lines[end] and not lines[end].startswith(" "):
            return [line for line in lines[start:end] if line]
    raise AssertionError(f"{name} does not end")


def page_options(lines):
    """The entries that are options, with the line below each."""
    return {words(line): words(lines[i + 1]) for i, line in enumerate(lines)
            if OPTION.fullmatch(words(line))}


@pytest.mark.parametrize("page", PAGES)
def test_is_well_formed(page):
    result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", PAGES[page]],
                            capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
    result = run("groff", "-ww", "-z", "-mandoc", "-T", "utf8", PAGES[page])
    assert result.stdout + result.stderr == ""


def test_global_options():
    wanted = help_options(run(program("croft"), "--help").stdout)
    assert len(wanted) == 3
    assert page_options(section(rendered("croft.1"), "GLOBAL OPTIONS")) == wanted


def page_commands():
    """Usage line -> (summary, options) of each entry of COMMANDS."""
    commands, entry = {}, []
    lines = section(rendered("croft.1"), "COMMANDS") + ["     end"]
    for line in lines:
        if re.match(r" {5}\S", line):
            if entry:
                commands[words(entry[0])] = (words(entry[1]), page_options(entry[2:]))
                assert len(entry) == 2 + 2 * len(commands[words(entry[0])][1]), entry
            entry = []
        entry.append(line)
    return commands


def help_commands():
    everything = run(program("croft"), "--help").stdout
    names = re.findall(r"^ {2}([a-z][a-z -]*?) {2,}\S", everything, re.MULTILINE)
    common = set(help_options(everything))
    commands = {}
    for name in names:
        text = run(program("croft"), *name.split(), "--help").stdout
        usage, summary, _ = text.split("\n\n", 2)
        options = {k: v for k, v in help_options(text).items() if k not in common}
        commands[usage.removeprefix("usage: croft ")] = (words(summary), options)
    return commands


def test_commands():
    in_page, in_help = page_commands(), help_commands()
    assert len(in_help) > 60
    assert list(in_page) == list(in_help)
    for usage, entry in in_help.items():
        assert in_page[usage] == entry


def test_settings_of_croftd():
    wanted = help_options(run(program("croftd"), "--help").stdout)
    assert len(wanted) > 15 and "--config FILE" in wanted
    assert page_options(section(rendered("croftd.8"), "SETTINGS")) == wanted


def test_options_of_the_supervisor():
    result = subprocess.run([program("croft-supervisor")], capture_output=True, text=True,
                            timeout=60, check=False)
    assert result.returncode == 2
    wanted = set(re.findall(r"--[a-z-]+ [^]\s]+", words(result.stderr)))
    assert len(wanted) == 9
    lines = [line.replace(" | ", "|") for line in rendered("croft-supervisor.8")]
    assert set(page_options(section(lines, "DESCRIPTION"))) == wanted
    synopsis = words(" ".join(section(lines, "SYNOPSIS")))
    assert set(re.findall(r"--[a-z-]+ [^]\s]+", synopsis)) == wanted


def test_install_has_them(tmp_path):
    subprocess.run(
        ["/usr/bin/python3", "/usr/bin/meson", "install", "-C", BUILD, "--no-rebuild",
         "--destdir", str(tmp_path)],
        check=True, capture_output=True, timeout=120)
    found = {name for _, _, names in os.walk(tmp_path) for name in names}
    places = {os.path.basename(d): sorted(names) for d, _, names in os.walk(tmp_path)
              if os.path.basename(d) in ("man1", "man8")}
    assert places == {"man1": ["croft.1"], "man8": ["croft-supervisor.8", "croftd.8"]}
    assert not {"croft-manual", "croftd-manual"} & found, "tools of the build were installed"
