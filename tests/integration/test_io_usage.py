"""What containers read and write is on the bill: what the kernel counted of the pool's disk,
whoever was killed meanwhile."""

import pytest

import kernel
from croft_harness import wait_until
from test_io_limits import forget
from test_usage import records

MIB = 1 << 20
METERS = ("io.read", "io.read.ops", "io.write", "io.write.ops")
V2 = kernel.driver() == "unified"


def counted(box, name):
    """(bytes read, bytes written) by the kernel's own account, of the pool's loop device: the disk
    under it may be counted, too."""
    loop, = kernel.loops_of(box.base)
    with open(f"/sys/block/{loop}/dev", encoding="ascii") as f:
        disk = f.read().strip()
    file = ("io", "io.stat") if V2 else ("blkio", "blkio.throttle.io_service_bytes_recursive")
    found = {}
    for line in box.cgroup(name).read(*file).splitlines():
        words = line.split()
        if words[0] == disk:
            found.update([words[1:3]] if not V2 else (w.split("=") for w in words[1:]))
    read, written = ("rbytes", "wbytes") if V2 else ("Read", "Write")
    return int(found.get(read, 0)), int(found.get(written, 0))


def bill(box, uid):
    found = [r for r in records(box) if r["resource_uid"] == uid]
    return {m: sum(int(r["quantity"]) for r in found if r["meter"] == m) for m in METERS}


@pytest.mark.vm
def test_what_is_read_and_written_is_on_the_bill(box):
    box.tenant()
    uid = box.launch("acme/web")["uid"]
    # Waited for, so that the kernel knows whose it is on v1 too.
    box.sh("acme/web", "dd if=/dev/urandom of=/data bs=1M count=4 conv=fsync 2>/dev/null",
           timeout=120)
    forget(box, "acme/web", "/data")
    box.sh("acme/web", "cat /data >/dev/null", timeout=120)
    read, written = counted(box, "acme/web")
    assert read >= 4 * MIB and written >= 4 * MIB, (read, written)
    wait_until("it is in the sums",
               lambda: box.usage("acme/web").get("io_read_bytes", 0) >= read, 60)
    for which in ("croftd", "supervisor"):
        box.kill9(which)
    box.restart("croftd", "supervisor")
    forget(box, "acme/web", "/data")
    box.sh("acme/web", "cat /data >/dev/null", timeout=120)
    read, written = counted(box, "acme/web")
    assert read >= 8 * MIB, read
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED", 60)
    # The end may have written a little more; a second start of counting would have doubled it.
    on_bill = bill(box, uid)
    assert read <= on_bill["io.read"] < read + MIB, (read, on_bill)
    assert written <= on_bill["io.write"] < written + MIB, (written, on_bill)
    assert 0 < on_bill["io.read.ops"] <= on_bill["io.read"] // 512, on_bill
    assert 0 < on_bill["io.write.ops"] <= on_bill["io.write"] // 512, on_bill
    shown = box.usage("acme/web")
    assert (shown["io_read_bytes"], shown["io_write_bytes"]) == (
        on_bill["io.read"], on_bill["io.write"])
    tenant = box.usage("acme")
    assert tenant["io_read_bytes"] == shown["io_read_bytes"]
    assert "disk read" in box.ok("usage", "show", "acme/web")
