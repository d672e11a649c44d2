"""docs/SECURITY.md names a test for each class of attack: each of them exists."""

import os
import re

from croft_harness import ROOT

FOLDERS = ("tests/abuse", "tests/integration", "tests/unit", "tests/integration/root")


def test_every_test_that_is_named_is_there():
    with open(os.path.join(ROOT, "docs", "SECURITY.md"), encoding="utf-8") as f:
        named = re.findall(r"`(\w+)::(\w+)`", f.read())
    assert len(named) > 40
    for module, name in named:
        texts = []
        for folder in FOLDERS:
            for suffix in (".py", ".c"):
                path = os.path.join(ROOT, folder, module + suffix)
                if os.path.exists(path):
                    with open(path, encoding="utf-8") as f:
                        texts.append(f.read())
        assert any(re.search(rf"(def|void) {name}\(", t) for t in texts), (module, name)
