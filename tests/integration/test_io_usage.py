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
    found = box.cgroup(name).io(kernel.disk_of(box.base))
    return found["io.read"], found["io.write"]


def bill(box, uid):
    found = [r for r in records(box) if r["resource_uid"] == uid]
    return {m: sum(int(r["quantity"]) for r in found if r["meter"] == m) for m in METERS}


@pytest.mark.vm
def test_what_is_read_and_written_is_on_the_bill(box):
    box.tenant()
    uid = box.launch("acme/web")["uid"]

    def write():
        """Waited for, so that the kernel knows whose it is on v1 too; unless its own threads have
        come first, as they do on a busy host."""
        box.sh("acme/web", "dd if=/dev/urandom of=/data bs=1M count=4 conv=fsync 2>/dev/null",
               timeout=120)
        return counted(box, "acme/web")[1]

    def read_again():
        forget(box, "acme/web", "/data")
        box.sh("acme/web", "cat /data >/dev/null", timeout=120)
        return counted(box, "acme/web")[0]

    wait_until("it has written", lambda: write() >= 4 * MIB, 60)
    wait_until("it has read", lambda: read_again() >= 4 * MIB, 60)
    read, written = counted(box, "acme/web")
    wait_until("it is in the sums",
               lambda: box.usage("acme/web").get("io_read_bytes", 0) >= read, 60)
    for which in ("croftd", "supervisor"):
        box.kill9(which)
    box.restart("croftd", "supervisor")
    before = read
    wait_until("it has read more", lambda: read_again() >= before + 4 * MIB, 60)
    read, written = counted(box, "acme/web")
    box.ok("kill", "acme/web")
    box.wait_state("acme/web", "STOPPED", 60)
    # The end may have written a little more; a second start of counting would have doubled it.
    on_bill = bill(box, uid)
    assert read <= on_bill["io.read"] < read + MIB, (read, on_bill)
    assert written <= on_bill["io.write"] < written + MIB, (written, on_bill)
    assert 0 < on_bill["io.read.ops"] <= on_bill["io.read"] // 512, on_bill
    assert 0 < on_bill["io.write.ops"] <= on_bill["io.write"] // 512, on_bill
    # Of what the kernel does not attribute the records themselves say so.
    reasons = {m: {r["reason"] for r in records(box) if r["resource_uid"] == uid
                   and r["meter"] == m} for m in METERS}
    for meter, said in reasons.items():
        partial = not V2 and meter.startswith("io.write")
        assert all(("buffered writes not attributed" in why) == partial for why in said), reasons
    shown = box.usage("acme/web")
    assert (shown["io_read_bytes"], shown["io_write_bytes"]) == (
        on_bill["io.read"], on_bill["io.write"])
    tenant = box.usage("acme")
    assert tenant["io_read_bytes"] == shown["io_read_bytes"]
    assert "disk read" in box.ok("usage", "show", "acme/web")
