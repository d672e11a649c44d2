"""Deals the tests out to several machines, so that these end at about the same time.

A machine under emulation uses one CPU of the host, whatever it runs.
"""

# What the longest take in one, in seconds; a change of a tenth does not matter.
SECONDS = {
    "root_cgroup_io": 35, "root_pool_limits": 65, "root_pool_limits_project": 45,
    "root_pool_snapshot_project": 40,
    "test_abuse.py": 60, "test_carried.py": 120,
    "test_crash.py": 95, "test_crash_storm.py": 35, "test_endings.py": 40, "test_idle.py": 25,
    "test_image_kinds.py": 65, "test_isolation.py": 75, "test_lifecycle.py": 50,
    "test_limits.py": 115, "test_limits_notified.py": 50, "test_nested.py": 55,
    "test_nesting.py": 75, "test_net_shape.py": 40, "test_noisy.py": 55,
    "test_project_pool.py": 95, "test_systemd.py": 65, "test_usage.py": 55,
}
OTHERS = 15


def deal(names, n):
    """n lists that hold each of the names once: the longest first, to whoever has least."""
    parts, loads = [[] for _ in range(n)], [0] * n
    for name in sorted(names, key=lambda name: (-SECONDS.get(name, OTHERS), name)):
        i = loads.index(min(loads))
        parts[i].append(name)
        loads[i] += SECONDS.get(name, OTHERS)
    return parts


def part_of(names, part):
    """Of the names in their order, those of part "I/N"; all for an empty one."""
    if not part:
        return list(names)
    i, n = (int(number) for number in part.split("/"))
    own = set(deal(names, n)[i - 1])
    return [name for name in names if name in own]
