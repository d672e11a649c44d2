"""What tests of rules about abuse share: a file of rules, and what is asked of the cases."""

import json
import os

import pytest

from croft_harness import wait_until


def rule(name, signal, threshold, action, **more):
    """Windows are short, but long enough for a host on which everything takes its time."""
    keys = {"window": "20s", "quiet": "3s", **more}
    lines = [f"[rule {name}]", f"signal = {signal}", f"threshold = {threshold}",
             f"action = {action}"]
    return "\n".join(lines + [f"{k.replace('_', '-')} = {v}" for k, v in keys.items()]) + "\n"


def write(box, *texts):
    """The file of rules, as an operator would change it. None is ever half there."""
    path = rules_path(box)
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write("\n".join(texts))
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)


def rules_path(box):
    return f"{box.base}/abuse.conf"


class WithRules:
    """Before a Kept: croftd has a file of rules, with none in it."""

    def make(self):
        daemon = super().make()
        write(daemon)
        self.options = ("--abuse-rules", rules_path(daemon))
        return daemon


def use(box, *texts):
    write(box, *texts)
    box.ok("abuse", "reload")


@pytest.fixture(autouse=True)
def fresh(box):
    """Cases of earlier tests, whose tenants had the same names, are not looked at any more."""
    box.first_case = max((c["number"] for c in box.json_lines("abuse", "list")), default=0) + 1


def cases(box, tenant=None):
    listed = box.json_lines("abuse", "list", *([tenant] if tenant else []))
    return [c for c in listed if c["number"] >= box.first_case]


def lasting(box, tenant=None):
    return [c for c in cases(box, tenant) if "end_time" not in c]


def wait_case(box, name, resource, seconds=60):
    """The case of that rule that lasts, when something was done about it."""
    def found():
        return [c for c in lasting(box) if c["rule"] == name and c["resource"] == resource
                and c.get("outcome")]

    return wait_until(f"{name} of {resource}", found, seconds)[-1]


def wait_over(box, number, seconds=120):
    def ended():
        case = box.json("abuse", "show", str(number))
        return case if "end_time" in case else None

    return wait_until(f"case {number} is over", ended, seconds)


def told(box, kind, resource):
    return [json.loads(e["details_json"]) for e in box.events()
            if e["type"] == kind and e["resource"] == resource]
