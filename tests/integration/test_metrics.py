"""/metrics: what Prometheus' own tools take, from memory, of whom it may be told, never falling."""

import contextlib
import glob
import json
import os
import re
import socket
import sqlite3
import subprocess
import time

import pytest

import scrapes
from abused import rule
from croft_harness import ROOT, program, run_program, wait_until
from old_state import undo_from
from receiver import receiver
from test_ledger import age, stopped

PROMTOOL = os.path.join(ROOT, "build", "tools", "promtool")
MONITORING = os.path.join(ROOT, "docs", "monitoring")
NOBODY = 65534
# What croftd cannot know of itself.
OF_PROMETHEUS = {"up"}
QUERY_WORDS = {
    "and", "or", "by", "without", "sum", "rate", "increase", "histogram_quantile", "time", "topk",
    "label_values", "le", "instance", "tenant", "container", "method", "mode", "code", "state",
    "job",
}


def promtool(*args, text=None):
    assert os.path.exists(PROMTOOL), "promtool is missing: make deps"
    return subprocess.run([PROMTOOL, *args], input=text, capture_output=True, text=True,
                          check=False, cwd=MONITORING)


def metric_names(query):
    """The metrics that a query reads: what is left without labels, functions and durations."""
    bare = re.sub(r'\{[^}]*\}|\[[^]]*\]|"[^"]*"|\b(by|without)\s*\([^)]*\)', " ", query)
    return set(re.findall(r"\b[a-z_][a-zA-Z0-9_:]*\b", bare)) - QUERY_WORDS


@pytest.fixture
def where(bare_daemon):
    return f"unix:{bare_daemon.base}/metrics.sock"


@pytest.fixture
def watched(bare_daemon, where):
    """An instance with a listener for scrapes, that sweeps often."""
    bare_daemon.start("--metrics", where, "--sample-interval", "0.2")
    bare_daemon.busybox()
    bare_daemon.tenant("acme", cpu=1, memory="256M", pids=64)
    return bare_daemon


def page_after(where):
    """One that was made after acme/web had stopped: pages are a second old."""
    def stopped():
        page = scrapes.scrape(where)
        return page if page.get("croft_container_running", tenant="acme",
                                container="web") == 0 else None

    return wait_until("a page of now", stopped, 30)


def wait_cpu(where, **labels):
    return wait_until(f"CPU of {labels}", lambda: scrapes.scrape(where).cpu(**labels), 60)


def wait_for(where, name, **labels):
    return wait_until(f"{name} {labels}", lambda: scrapes.scrape(where).get(name, **labels), 20)


@pytest.mark.vm
class TestFigures:
    """One page after a container has worked: also on cgroup v2."""

    @pytest.fixture
    def page(self, watched, where):
        watched.launch("acme/web", memory="128M", cpu="0.5", init=["/bin/sh", "-c", BUSY])
        wait_cpu(where, tenant="acme", container="web")
        # The pool's figures are asked for by one page, and in the next.
        wait_for(where, "croft_pool_size_bytes", driver=watched.json("host", "info")["pool_driver"])
        return scrapes.scrape(where)

    def test_containers_and_tenants_have_them(self, page):
        web = {"tenant": "acme", "container": "web"}
        assert page.get("croft_container_running", **web) == 1
        assert page.get("croft_container_memory_limit_bytes", **web) == 128 << 20
        assert page.get("croft_container_cpu_limit_cores", **web) == 0.5
        assert page.get("croft_container_memory_working_set_bytes", **web) > 0
        assert page.get("croft_container_runs_total", **web) == 1
        assert page.get("croft_tenant_containers_running", tenant="acme") == 1
        assert page.get("croft_tenant_pids_limit", tenant="acme") == 64
        assert page.get("croft_containers", state="running") == 1
        assert page.get("croft_supervisor_up") == 1
        assert page.get("croft_container_start_seconds_count") == 1
        assert page.get("croft_rpc_ended_total", code="OK",
                        method="croft.v1.Containers/LaunchContainer") == 1

    def test_they_are_those_of_usage(self, page, watched):
        """Taken later, the bill's figure is not smaller; and both are of one container."""
        after = watched.usage("acme/web")
        cpu = page.cpu(tenant="acme", container="web")
        assert 0 < cpu <= after["cpu_usec"] / 1e6
        assert page.cpu(tenant="acme") == pytest.approx(cpu, abs=1e-6)


BUSY = "while :; do :; done"


def test_promtool_takes_a_page(watched, where):
    watched.launch("acme/web")
    wait_for(where, "croft_pool_size_bytes", driver=watched.json("host", "info")["pool_driver"])
    page = scrapes.scrape(where)
    done = promtool("check", "metrics", text=page.text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    # The control: it does look.
    assert promtool("check", "metrics", text=page.text.replace("_total", "_totals")).returncode


class TestModes:
    """Time in user mode and in the kernel: never guessed so that both do not make up the bill."""

    # Copies a byte at a time: next to nothing of it in user mode.
    IN_KERNEL = "while :; do dd if=/dev/zero of=/dev/null bs=1M count=2000; done"

    @pytest.fixture(params=["user", "system"])
    def page(self, watched, where, request):
        init = {"user": BUSY, "system": self.IN_KERNEL}[request.param]
        watched.launch("acme/web", init=["/bin/sh", "-c", init])
        wait_until("a second of work",
                   lambda: (scrapes.scrape(where).cpu(tenant="acme", container="web") or 0) > 1, 90)
        watched.ok("stop", "--timeout", "0", "acme/web")
        return request.param, page_after(where), watched.usage("acme/web")["cpu_usec"]

    def test_where_the_time_goes(self, page):
        mode, page, _ = page
        web = {"tenant": "acme", "container": "web"}
        other = "system" if mode == "user" else "user"
        name = "croft_container_cpu_usage_seconds_total"
        assert page.get(name, mode=mode, **web) > 2 * page.get(name, mode=other, **web)
        assert page.get(name, mode="unknown", **web) is None

    def test_both_are_the_bill(self, page):
        """To the microsecond: of the ended run, and of the tenant."""
        _, page, billed = page
        assert round(page.cpu(tenant="acme", container="web") * 1e6) == billed
        assert round(page.cpu(tenant="acme") * 1e6) == billed


def test_what_was_used_before_has_no_mode(watched, where):
    """Totals of an earlier croftd, which did not ask: they are not given to either."""
    watched.launch("acme/web", init=["/bin/sh", "-c", BUSY])
    wait_cpu(where, tenant="acme", container="web")
    watched.ok("stop", "--timeout", "0", "acme/web")
    billed = watched.usage("acme/web")["cpu_usec"]
    watched.kill9("croftd")
    with contextlib.closing(sqlite3.connect(f"{watched.state}/server/croft.db")) as state, state:
        undo_from(state, "cpu_modes")
    watched.restart("croftd")
    page = scrapes.scrape(where)
    assert page.get("croft_container_cpu_usage_seconds_total", tenant="acme", container="web",
                    mode="unknown") == pytest.approx(billed / 1e6)
    assert page.cpu(tenant="acme", container="web") == pytest.approx(billed / 1e6)


def test_pressure_and_disk_are_told_where_they_are_known(watched, where):
    web = {"tenant": "acme", "container": "web"}
    watched.launch("acme/web", cpu="0.2",
                   init=["/bin/sh", "-c", f"dd if=/dev/zero of=/fill bs=1M count=9; {BUSY}"])
    if os.path.exists("/proc/pressure/cpu"):
        wait_until("it waits for its CPU", lambda: (scrapes.scrape(where).get(
            "croft_container_pressure_waiting_seconds_total", resource="cpu", **web) or 0) > 0, 60)
    watched.sync_pool()
    # Disks are looked at when croftd begins, and then every half minute or so.
    watched.kill9("croftd")
    watched.restart("croftd")
    assert wait_for(where, "croft_container_disk_usage_bytes", **web) >= 8 << 20
    page = scrapes.scrape(where)
    assert page.get("croft_tenant_disk_usage_bytes", tenant="acme") >= 8 << 20
    watched.ok("stop", "--timeout", "0", "acme/web")
    page = page_after(where)
    assert page.get("croft_container_pressure_waiting_seconds_total", resource="cpu", **web) is None
    assert page.get("croft_container_disk_usage_bytes", **web) >= 8 << 20


class TestLedger:
    """A ledger that stops is seen: when hours were closed, and what could not be."""

    CLOSED = "croft_ledger_closed_timestamp_seconds"

    def round_of(self, where, since):
        """The first page behind a round that ended well since."""
        def look():
            page = scrapes.scrape(where)
            return page if page.get(self.CLOSED) > since else None

        page = wait_until("a round of closing", look, 60)
        assert page.get("croft_start_time_seconds") < page.get(self.CLOSED) <= time.time()
        return page

    def test_a_round_moves_it_and_counts_damaged_runs(self, watched, where):
        watched.launch("acme/web")
        watched.ok("kill", "acme/web")
        watched.wait_state("acme/web", "STOPPED")
        assert self.round_of(where, 0).get("croft_ledger_damaged_runs") == 0
        with stopped(watched) as state:
            age(state)
            [(run, carry)] = state.execute(
                "SELECT run, carry FROM ledger_open JOIN runs ON key = run WHERE kind = 0")
            state.execute("UPDATE ledger_open SET carry = x'ff' WHERE run = ?", (run,))
            began = time.time()
        assert self.round_of(where, began).get("croft_ledger_damaged_runs") == 1
        with stopped(watched) as state:
            state.execute("UPDATE ledger_open SET carry = ? WHERE run = ?", (carry, run))
            began = time.time()
        assert self.round_of(where, began).get("croft_ledger_damaged_runs") == 0

    def test_a_round_that_fails_is_none(self, watched, where):
        watched.launch("acme/web")
        watched.ok("kill", "acme/web")
        watched.wait_state("acme/web", "STOPPED")
        with stopped(watched) as state:
            age(state)
            state.execute("CREATE TRIGGER broken BEFORE INSERT ON ledger_entries"
                          " BEGIN SELECT RAISE(ABORT, 'broken'); END")
        wait_until("a round fails", lambda: "ledger-round-failed" in watched.read_log(), 60)
        time.sleep(1.1)  # a page is as old at most
        assert scrapes.scrape(where).get(self.CLOSED) == 0


def test_webhooks_are_counted_by_how_they_stand(bare_daemon, where):
    def standing():
        page = scrapes.scrape(where)
        return [page.get("croft_webhooks", state=state) for state in (
            "delivering", "failing", "disabled", "disabled_by_operator")]

    bare_daemon.start("--metrics", where, "--webhook-retry", "1")
    assert standing() == [0, 0, 0, 0]
    with receiver() as there, receiver(lambda m: 410) as gone, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for name, url in (("good", there.url()), ("gone", gone.url()), ("off", there.url()),
                          ("dead", f"http://127.0.0.1:{closed.getsockname()[1]}/")):
            bare_daemon.json("webhook", "create", name, url, "--events", "--from-start")
        bare_daemon.ok("webhook", "set", "off", "--disable")
        bare_daemon.tenant("acme")
        wait_until("each stands as it is", lambda: standing() == [1, 1, 1, 1], 60)
        bare_daemon.ok("webhook", "delete", "gone")
        bare_daemon.ok("webhook", "set", "dead", "--url", there.url())
        wait_until("it is well again", lambda: standing() == [2, 0, 0, 1], 60)


def test_cases_of_abuse_that_last_are_counted(bare_daemon, where):
    rules = f"{bare_daemon.base}/abuse.conf"
    with open(rules, "w", encoding="utf-8") as f:
        f.write(rule("busy", "cpu-full", 20, "notify"))
    bare_daemon.start("--metrics", where, "--sample-interval", "0.2", "--abuse-rules", rules)
    bare_daemon.busybox()
    bare_daemon.tenant("acme", cpu=1)
    assert scrapes.scrape(where).get("croft_abuse_cases") == 0
    bare_daemon.launch("acme/web", cpu="0.5", init=["/bin/sh", "-c", BUSY])
    wait_until("there is one", lambda: scrapes.scrape(where).get("croft_abuse_cases") == 1, 90)
    bare_daemon.ok("stop", "--timeout", "0", "acme/web")
    wait_until("it is over", lambda: scrapes.scrape(where).get("croft_abuse_cases") == 0, 90)


ACCEPT_OF_PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;"
    "q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2")


def test_openmetrics_is_what_its_own_parser_takes(watched, where):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
    watched.launch("acme/web", init=["/bin/sh", "-c", BUSY])
    wait_cpu(where, tenant="acme", container="web")
    wait_for(where, "croft_pool_size_bytes", driver=watched.json("host", "info")["pool_driver"])
    status, headers, text = scrapes.fetch(where, headers={"Accept": ACCEPT_OF_PROMETHEUS})
    assert status == 200
    assert headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert headers["Vary"] == "Accept"
    assert text.endswith("\n# EOF\n")
    families = {family.name: family for family in parse(text)}
    assert families["croft_container_cpu_usage_seconds"].type == "counter"
    # The same names as on the other page: samples are called alike in both.
    samples = {sample.name for family in families.values() for sample in family.samples}
    assert samples == scrapes.scrape(where).names()
    # The control: it does look.
    for broken in (text.removesuffix("# EOF\n"), text.replace("_total{", "{", 1)):
        with pytest.raises(ValueError):
            list(parse(broken))
    assert scrapes.fetch(where, headers={"Accept": "text/plain"})[1]["Content-Type"] == (
        "text/plain; version=0.0.4; charset=utf-8")


def test_rules_fire_when_they_should(watched, where):
    assert promtool("check", "rules", "alerts.yml").returncode == 0
    assert promtool("check", "config", "prometheus.yml").returncode == 0
    done = promtool("test", "rules", "alerts_test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_test():
    with open(f"{MONITORING}/alerts.yml", encoding="utf-8") as f:
        alerts = set(re.findall(r"- alert: (\w+)", f.read()))
    with open(f"{MONITORING}/alerts_test.yml", encoding="utf-8") as f:
        tested = re.findall(r"alertname: (\w+)", f.read())
    assert alerts and sorted(tested) == sorted(2 * list(alerts))


def dashboard_queries():
    with open(f"{MONITORING}/dashboard.json", encoding="utf-8") as f:
        dashboard = json.load(f)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    yield from (v["query"] for v in dashboard["templating"]["list"] if v["type"] == "query")
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def alert_queries():
    with open(f"{MONITORING}/alerts.yml", encoding="utf-8") as f:
        yield from (" ".join(x.split()) for x in
                    re.findall(r"expr: >-\n(.*?)\n        (?:for|labels):", f.read(), re.DOTALL))


def test_dashboard_and_alerts_use_names_that_exist(bare_daemon, where):
    """Each metric that a query reads is in a real page."""
    bare_daemon.start("--metrics", where, "--sample-interval", "0.2")
    bare_daemon.busybox()
    bare_daemon.tenant("acme", cpu=1, memory="256M", pids=64, disk="1G")
    bare_daemon.launch("acme/web", options=["--health-cmd", "true"])
    wait_for(where, "croft_pool_size_bytes", driver=bare_daemon.json("host", "info")["pool_driver"])
    bare_daemon.sh("acme/web", "echo x >/x")
    bare_daemon.sync_pool()
    wait_for(where, "croft_container_disk_usage_bytes", tenant="acme", container="web")
    names = scrapes.scrape(where).names() | OF_PROMETHEUS
    if not os.path.exists("/proc/pressure/cpu"):
        names.add("croft_container_pressure_waiting_seconds_total")
    queries = [*dashboard_queries(), *alert_queries()]
    assert len(queries) > 50
    for query in queries:
        used = metric_names(query)
        assert used, query
        assert used <= names, (used - names, query)


def test_a_scrape_reads_memory_alone(bare_daemon, where):
    """Nobody sweeps, the supervisor does not answer, and the container works: it costs nothing."""
    bare_daemon.start("--metrics", where, "--sample-interval", "86400")
    bare_daemon.busybox()
    bare_daemon.tenant("acme")
    bare_daemon.launch("acme/web", init=["/bin/sh", "-c", BUSY])
    scrapes.scrape(where)

    def reads():
        with open(f"/proc/{bare_daemon.pid('croftd')}/io", encoding="ascii") as f:
            return int(dict(line.split(": ") for line in f)["syscr"])

    def cpu():
        return scrapes.scrape(where).cpu(tenant="acme", container="web")

    def steady():
        """As a list; it is not while a sweep that was begun before is being committed."""
        seen = cpu()
        time.sleep(1.1)
        return [seen] if cpu() == seen else None

    # croftd sweeps once soon after its start, to close hours; on a slow host behind the launch.
    with bare_daemon.held("supervisor"):
        seen, = wait_until("nothing sweeps", steady, 30)
        before = reads()
        for _ in range(50):
            assert cpu() == seen
        scraped = reads() - before
    # One read a connection is the loop's own: of its socket, by readv, and of its wake-up.
    assert scraped < 50 * 6, scraped
    # The control: the API reads the counters, and more than that.
    before = reads()
    for _ in range(50):
        assert bare_daemon.usage("acme/web")["cpu_usec"] > 0
    assert reads() - before > 50 * 10


def test_who_asks_at_once_gets_the_same_page(watched, where):
    """The page is made once a second at most: its counter of scrapes stands still meanwhile."""
    for _ in range(20):
        texts = [scrapes.scrape(where).text for _ in range(4)]
        if len(set(texts)) == 1:
            return
    raise AssertionError("a page was made for each scrape")


def test_keep_alive_and_heads(watched, where):
    connection = scrapes.connect(where)
    for _ in range(3):
        connection.request("GET", "/metrics")
        reply = connection.getresponse()
        assert reply.status == 200
        assert reply.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        assert reply.read().endswith(b"\n")
    connection.request("HEAD", "/metrics")
    reply = connection.getresponse()
    assert (reply.status, reply.read()) == (200, b"")
    connection.close()


def test_other_paths_and_methods_are_refused(watched, where):
    assert scrapes.fetch(where, "/")[0] == 404
    assert scrapes.fetch(where, "/metrics/../etc/passwd")[0] == 404
    for method in ("POST", "DELETE", "PUT"):
        assert scrapes.fetch(where, method=method)[0] in (400, 405, 501), method


def test_only_operators_read_a_unix_socket(watched, where):
    """A tenant's user would learn of the others; croft's own socket answers them both."""
    code = ("import http.client, socket, sys\n"
            "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
            "s.sendall(b'GET /metrics HTTP/1.0\\r\\n\\r\\n')\n"
            "print(s.recv(100).split()[1].decode())\n")
    argv = ["/usr/bin/python3", "-c", code, where.removeprefix("unix:")]
    assert run_program(argv, uid=NOBODY).out.strip() == "403"
    assert run_program(argv).out.strip() == "200"


def test_loopback_serves_and_nothing_else_does(bare_daemon):
    address = "127.0.0.1:0"
    for refused in ("0.0.0.0:9751", "192.0.2.1:9751", "[::]:9751", "tcp:10.0.0.1:1", "9751",
                    "localhost:9751", "unix:metrics.sock"):
        done = run_program([program("croftd"), "--metrics", refused])
        assert done.rc == 2 and "loopback" in done.err, (refused, done)
    bare_daemon.start("--metrics", address)
    pid = bare_daemon.pid("croftd")
    assert scrapes.scrape(f"127.0.0.1:{listening_port(pid)}").get("croft_supervisor_up") == 1


def listening_port(pid):
    """The one TCP port on which a process listens."""
    inodes = set()
    for fd in glob.glob(f"/proc/{pid}/fd/*"):
        with contextlib.suppress(FileNotFoundError):  # a client that has just left
            found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(fd))
            if found:
                inodes.add(found.group(1))
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    ports = [int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and row[9] in inodes]
    assert len(ports) == 1, ports
    return ports[0]


def fallen(before, after):
    """Counters of tenants and containers that are smaller, or gone. Pressure and forks are of the
    present run alone, and of what a sweep has seen."""
    return {key: (value, after.get(key)) for key, value in before.items()
            if re.match("croft_(tenant|container)_(?!pressure_|forks_)", key[0])
            and dict(key[1]).get("tenant") and after.get(key, -1) < value}


@pytest.mark.vm
def test_counters_never_fall(watched, where):
    """Scraped over and over, while croftd is killed, the supervisor too, and the run ends."""
    watched.launch("acme/web", init=["/bin/sh", "-c", BUSY])
    wait_cpu(where, tenant="acme", container="web")
    seen, first = {}, scrapes.scrape(where).counters()

    def look(rounds):
        nonlocal seen
        for _ in range(rounds):
            now = scrapes.scrape(where).counters()
            assert not fallen(seen, now)
            seen = now
            time.sleep(0.05)

    def act(step):
        if step == 0:
            watched.kill9("croftd")
            watched.restart("croftd")
        elif step == 1:
            watched.ok("restart", "--timeout", "0", "acme/web")
        elif step == 2:
            watched.kill9("supervisor")
            watched.restart("supervisor")
        else:
            watched.ok("kill", "acme/web")
            watched.wait_state("acme/web", "STOPPED")
            watched.ok("start", "acme/web")

    for step in range(4):
        look(10)
        act(step)
    look(10)
    cpu = ("croft_container_cpu_usage_seconds_total",
           (("container", "web"), ("mode", "user"), ("tenant", "acme")))
    assert seen[cpu] > first[cpu]
