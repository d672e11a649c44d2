"""Which integration tests run beside each other: those that mostly wait beside all others, and then
a few alone.

A third of the time of all goes by in waiting for what has its time in the product: until a window
is over, an expiry is due, a request that nobody answers is given up. Such modules use some
hundredths of a CPU and do not mind a busy host. Whoever measures a rate, a share or a latency, or
keeps the host busy, is not one of them.
"""

import glob
import os

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("tests/integration", "tests/abuse")

WAITING = {
    "test_abuse.py", "test_abuse_records.py", "test_allowances.py", "test_cloud_boot.py",
    "test_demo.py", "test_disk_events.py", "test_event_record.py", "test_evidence_kept.py",
    "test_export.py", "test_full_disk.py", "test_grpc_timers.py", "test_health.py", "test_held.py",
    "test_hold_thaw.py", "test_holds.py", "test_idle.py", "test_idle_network.py",
    "test_import.py", "test_ledger.py", "test_limits_notified.py", "test_network_cut.py",
    "test_network_refused.py",
    "test_own_figures.py", "test_receivers.py", "test_scrapers.py", "test_snapshot_schedule.py",
    "test_strays.py", "test_suspended.py", "test_upkeep.py", "test_usage_correct.py",
    "test_usage_formats.py", "test_views.py", "test_webhooks.py", "test_work_ended.py",
}

# They mount a file on this host. Whoever starts a mount namespace meanwhile, as every instance
# does, has a copy, so that its loop device stays in use.
ALONE = {"test_project_pool.py", "test_slow_disk.py"}


def modules():
    """All there are, as pytest would find them."""
    return [path for folder in FOLDERS
            for path in sorted(glob.glob(os.path.join(ROOT, folder, "test_*.py")))]


def lanes(paths):
    """(those that keep the host busy, those that wait, those that are alone), in their order."""
    waiting = [path for path in paths if os.path.basename(path) in WAITING]
    alone = [path for path in paths if os.path.basename(path) in ALONE]
    return [path for path in paths if path not in waiting + alone], waiting, alone
