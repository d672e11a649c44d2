"""A state database as an earlier croftd left it, made of a present one: its later steps undone."""

import os
import re

from samples import unpack_table

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# By the names of server/db_schema.c; a step that is added there has its undoing here.
UNDO = {
    "event_lanes": ["DROP TRIGGER event_added", "DROP TRIGGER event_dropped",
                    "DROP TABLE event_lanes", "DROP INDEX events_by_lane",
                    "ALTER TABLE events DROP COLUMN lane",
                    "ALTER TABLE events DROP COLUMN by_operator",
                    "ALTER TABLE events DROP COLUMN actor"],
    "ledger": [f"DROP TABLE {table}" for table in (
        "ledger_pruned", "ledger_entries", "ledger_chains", "ledger_hosts", "ledger_open",
        "ledger_terms", "clock_steps")],
    "told_limits": ["ALTER TABLE runs DROP COLUMN told"],
    "allowances": ["ALTER TABLE tenants DROP COLUMN traffic_reset_day",
                   "DROP TABLE traffic_periods"],
    "held": ["DELETE FROM ledger_open WHERE run IN (SELECT key FROM runs WHERE kind)",
             "DELETE FROM samples WHERE run IN (SELECT key FROM runs WHERE kind)",
             "DELETE FROM runs WHERE kind", "DROP INDEX runs_held",
             "ALTER TABLE runs DROP COLUMN kind"],
    "refusals": ["DROP TRIGGER refusals_of_nobody", "DROP TABLE refusals"],
    "holds": ["DROP TABLE holds", "ALTER TABLE containers DROP COLUMN kept_down",
              "ALTER TABLE events DROP COLUMN operator_details",
              "ALTER TABLE tenants ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0",
              "ALTER TABLE tenants ADD COLUMN suspend_reason TEXT NOT NULL DEFAULT ''"],
    "cpu_modes": ["ALTER TABLE totals DROP COLUMN cpu_user",
                  "ALTER TABLE totals DROP COLUMN cpu_system"],
    "corrections": ["DROP TABLE ledger_corrections"],
    "webhooks": ["DROP TABLE webhooks"],
    "abuse": ["DROP TABLE abuse_cases"],
    "packed_samples": [unpack_table],
    "abuse_evidence": ["DROP TRIGGER abuse_evidence_of_nobody", "DROP TABLE abuse_evidence"],
    "abuse_windows": ["DROP TRIGGER abuse_windows_of_nobody",
                      "DROP TRIGGER abuse_windows_of_nothing", "DROP TABLE abuse_windows"],
    "runs_of_tenant": ["DROP INDEX runs_of_tenant"],
    "entries_of_run": ["DROP INDEX ledger_entries_of_run"],
    "asked_ends": ["ALTER TABLE runs DROP COLUMN kill_boot"],
    # Nothing of a directory was ever closed then.
    "own_meters": ["DROP INDEX runs_own", "UPDATE runs SET kind = 0 WHERE kind = 5"
                   " AND NOT EXISTS (SELECT 1 FROM ledger_entries e WHERE e.run = runs.key)",
                   "DELETE FROM ledger_open WHERE run IN"
                   " (SELECT key FROM runs WHERE kind = 0 AND container_uid = '')"],
    "closed_gaps": ["CREATE INDEX gaps_by_run ON gaps(run)", "DROP INDEX gaps_in_run",
                    "DELETE FROM gaps WHERE run IN (SELECT key FROM runs WHERE kind)",
                    "DELETE FROM settings WHERE key = 'closed_gaps_after'"],
    "partial_writes": ["ALTER TABLE runs DROP COLUMN partial_writes"],
}


def steps():
    with open(os.path.join(ROOT, "server", "db_schema.c"), encoding="utf-8") as f:
        text = f.read()
    names = re.search(r"\bsteps\[\] = \{([^}]*)\}", text).group(1)
    return [name.strip() for name in names.split(",")]


def undo_from(state, step):
    """state: a connection to the database of a croftd that does not run. It is then as before
    that step was taken."""
    names = steps()
    version, = state.execute("PRAGMA user_version").fetchone()
    assert version == len(names)
    for name in reversed(names[names.index(step):]):
        assert name in UNDO, f"say in {os.path.basename(__file__)} how {name} is undone"
        for sql in UNDO[name]:
            if callable(sql):
                sql(state)
            else:
                state.execute(sql)
    state.execute(f"PRAGMA user_version = {names.index(step)}")
