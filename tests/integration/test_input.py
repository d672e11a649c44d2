"""Bad input gets one clear sentence, and nothing half-made stays. Every test here shares one
instance and must leave it as it was: the fixture looks."""

import contextlib
import io
import tarfile

import grpc
import pytest

from croft_harness import program, run_program

BAD_NAMES = ["", "A", "-x", "1a", "a_b", "a.b", "a b", "..", "tasks", "a" * 33, "a/b/c", "é",
             "a\nb", "_croft", "x;y", "$(id)"]


@contextlib.contextmanager
def tenant(daemon, name="acme", **limits):
    daemon.tenant(name, **limits)
    try:
        yield name
    finally:
        daemon.ok("tenant", "delete", "--force", name)


class TestNames:
    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_tenant(self, shared, name):
        result = shared.croft("tenant", "create", "--", name)
        assert result.rc in (1, 2), result
        result = shared.croft("tenant", "show", "--", name)
        assert result.rc in (1, 2), result

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_container(self, shared, name):
        with tenant(shared):
            result = shared.croft("create", "busybox", f"acme/{name}")
            assert result.rc in (1, 2), result
            assert result.err.strip()

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_over_the_api(self, shared, name):
        """The CLI's own checks are a courtesy: the server has its own."""
        with shared.api() as api, pytest.raises(grpc.RpcError) as e:
            api.call("Tenants/CreateTenant", {"tenant_id": name})
        assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert e.value.details()
        with shared.api() as api, pytest.raises(grpc.RpcError) as e:
            api.call("Tenants/GetTenant", {"name": f"tenants/{name}"})
        assert e.value.code() in (
            grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)

    @pytest.mark.parametrize(
        "resource",
        ["", "acme", "tenants", "tenants/", "tenants//containers/x", "/tenants/acme",
         "tenants/acme/containers/web/", "tenants/../containers/x", "x" * 5000],
    )
    def test_resources(self, shared, resource):
        with shared.api() as api:
            for method in ("GetContainer", "StartContainer", "StopContainer", "DeleteContainer"):
                with pytest.raises(grpc.RpcError) as e:
                    api.call(f"Containers/{method}", {"name": resource})
                assert e.value.code() in (
                    grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND), method


LIMITS = [
    ("--pids", "0"), ("--pids", "-1"), ("--pids", "3"), ("--pids", "1.5"), ("--pids", "many"),
    ("--pids", "99999999999999999999"), ("--memory", "1"), ("--memory", "x"),
    ("--memory", "1.5G"), ("--memory", "99999999T"), ("--cpu", "0"), ("--cpu", "-1"),
    ("--cpu", "nan"), ("--cpu", "0.0001"), ("--cpu", "99999"), ("--cpu-weight", "0"),
    ("--cpu-weight", "10001"), ("--cores", "0"), ("--cores", "5-2"), ("--cores", "9999"),
    ("--cores", "0,,1"), ("--cores", "900,901"), ("--cores", "auto,1"), ("--swap", "-1"),
    ("--disk", "1"),
]


class TestLimits:
    @pytest.mark.parametrize("flag,value", LIMITS)
    def test_bad_values(self, shared, flag, value):
        with tenant(shared, cpu="2"):
            for command in (("launch", "busybox", "acme/web"), ("tenant", "set", "acme"),
                            ("tenant", "create", "other")):
                result = shared.croft(*command, flag, value)
                assert result.rc in (1, 2), (command, result)
                assert flag.lstrip("-").split("-")[0] in result.err, result
                assert len(result.err.strip().splitlines()) <= 2, result

    @pytest.mark.parametrize(
        "limits",
        [{"pids": 1}, {"pids": 2**63}, {"memory_bytes": 1}, {"cpu_milli": 1},
         {"cpu_weight": 10001}, {"core_count": 100000}, {"core_list": "x"},
         {"core_list": "0", "core_count": 1}, {"core_list": "5000"}, {"containers": 5},
         {"core_list": "0-" + "9" * 5000}, {"core_auto": True, "core_count": 1},
         {"core_auto": True, "core_list": "0"}, {"core_count": 2**64 - 2}],
    )
    def test_over_the_api(self, shared, limits):
        with tenant(shared), shared.api() as api, pytest.raises(grpc.RpcError) as e:
            api.call("Containers/CreateContainer", {
                "parent": "tenants/acme", "container_id": "web",
                "container": {"image": "images/busybox", "limits": limits}})
        assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT, limits


    def test_no_cores(self, shared):
        result = shared.croft("tenant", "create", "acme", "--cores", "0")
        assert result.rc == 2 and "how many" in result.err and "0-0" in result.err, result


class TestDaemon:
    """croftd's own command line: 2, with a sentence, before it touches anything. Should it ever
    get further, there is no directory that it could make: never the host's own."""

    NOWHERE = ("--state", "/proc/none", "--run", "/proc/none", "--cgroup-parent", "croft-test-none")

    @pytest.mark.parametrize("words,match", [
        (("--pool-size", "5"), "at least 256M"),
        (("--pool-size", "5G", "--state"), "wants a value"),
        (("--state", "relative"), "absolute path"), (("--frobnicate", "1"), "no setting"),
    ])
    def test_usage(self, shared, words, match):
        result = run_program([program("croftd"), *self.NOWHERE, *words])
        assert result.rc == 2 and match in result.err, result
        result = run_program([program("croft-supervisor"), "--state", "/nonexistent", "--run",
                              "/nonexistent", "--pool-size", "5"])
        assert result.rc == 2, result

    def test_help_names_the_defaults(self, shared):
        result = run_program([program("croftd"), "--help"])
        assert result.rc == 0 and "default: /var/lib/croft" in result.out


class TestReferences:
    def test_what_is_not_there(self, shared):
        with tenant(shared):
            for command, match in (
                (("launch", "nothing", "acme/web"), "nothing"),
                (("launch", "busybox", "nobody/web"), "nobody"),
                (("launch", "busybox", "acme/web", "--policy", "nothing"), "nothing"),
                (("info", "acme/web"), "web"),
                (("start", "acme/web"), "web"),
                (("stop", "acme/web"), "web"),
                (("set", "acme/web", "--pids", "50"), "web"),
                (("delete", "acme/web"), "web"),
                (("image", "delete", "nothing"), "nothing"),
                (("tenant", "show", "nobody"), "nobody"),
                (("usage", "show", "nobody"), "nobody"),
                (("logs", "acme/web"), "web"),
            ):
                shared.refused(*command, match=match)
            shared.refused("exec", "-T", "acme/web", "--", "/bin/true", rc=125, match="web")

    def test_what_is_already_there(self, shared):
        with tenant(shared):
            shared.refused("tenant", "create", "acme", match="exists|already")
            shared.ok("create", "busybox", "acme/web")
            shared.refused("create", "busybox", "acme/web", match="exists|already")
            shared.refused("launch", "busybox", "acme/web", match="exists|already")
            shared.refused("image", "build-busybox", match="exists|already")

    def test_image_in_use(self, shared):
        with tenant(shared):
            shared.ok("create", "busybox", "acme/web")
            shared.refused("image", "delete", "busybox", match="use|container")


class TestWords:
    """The command line itself: 2, with a sentence."""

    @pytest.mark.parametrize(
        "words",
        [(), ("frobnicate",), ("tenant",), ("tenant", "frobnicate"), ("tenant", "create"),
         ("tenant", "create", "a", "b"), ("launch", "busybox"), ("--frobnicate",),
         ("-o", "xml", "list"), ("launch", "busybox", "acme"), ("exec", "acme/web"),
         ("list", "--pids", "5"), ("stop", "--timeout", "x", "acme/web"),
         ("tenant", "bind", "acme", "x"), ("tenant", "bind", "acme", "-1"),
         ("tenant", "create", "a", "--pids"), ("set", "acme/web")],
    )
    def test_usage(self, shared, words):
        result = shared.croft(*words)
        assert result.rc == 2 or (words[:1] == ("exec",) and result.rc in (2, 125)), result
        assert result.err.strip() or result.out.strip()

    def test_bad_host(self, shared):
        for host in ("", "unix:", "unix:/nonexistent.sock", "http://x", "tcp:127.0.0.1:1",
                     "unix:" + "x" * 300):
            result = run_program([shared._client(None), "--host", host, "list"])
            assert result.rc in (1, 2), (host, result)
            assert len([x for x in result.err.splitlines()
                        if not x.startswith("usage:")]) == 1, result


class TestArguments:
    @pytest.mark.parametrize(
        "init", [["relative"], [""], ["/" + "x" * 5000], ["/bin/true", "x" * (2 << 20)]],
        ids=["relative", "empty", "long path", "long argument"],
    )
    def test_init(self, shared, init):
        with tenant(shared), shared.api() as api, pytest.raises(grpc.RpcError) as e:
            api.call("Containers/LaunchContainer", {
                "parent": "tenants/acme", "container_id": "web",
                "container": {"image": "images/busybox", "init_args": init}})
        assert e.value.code() in (
            grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED,
            grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND), init[:1]

    @pytest.mark.parametrize(
        "start",
        [{}, {"args": []}, {"args": [""]}, {"args": ["/bin/true"], "env": ["NOEQUALS"]},
         {"args": ["/bin/true"], "env": ["=x"]}, {"args": ["/bin/true"], "user": "-1"},
         {"args": ["/bin/true"], "user": "4294967295"}, {"args": ["/bin/true"], "user": "70000"},
         {"args": ["/bin/true"], "user": "a:b"}, {"args": ["/bin/true"], "working_dir": "rel"}],
    )
    def test_exec(self, shared, start):
        with tenant(shared):
            shared.launch("acme/web")
            with shared.api() as api:
                request = {"start": {"name": "tenants/acme/containers/web", **start}}
                with pytest.raises(grpc.RpcError) as e:
                    for _ in api.stream("Containers/Exec", [request], timeout=10):
                        pass
            assert e.value.code() in (
                grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND,
                grpc.StatusCode.FAILED_PRECONDITION), e.value

    def test_pages(self, shared):
        with shared.api() as api:
            for request in ({"page_size": -1}, {"page_token": "garbage"},
                            {"page_token": "x" * 5000}):
                with pytest.raises(grpc.RpcError) as e:
                    api.call("Tenants/ListTenants", request)
                assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT, request

    def test_pages_are_complete(self, shared):
        names = [f"t{i:02d}" for i in range(7)]
        for name in names:
            shared.tenant(name)
        try:
            found, token = [], ""
            with shared.api() as api:
                while True:
                    page = api.call(
                        "Tenants/ListTenants", {"page_size": 3, "page_token": token})
                    assert len(page.get("tenants", [])) <= 3
                    found += [t["name"] for t in page.get("tenants", [])]
                    token = page.get("next_page_token", "")
                    if not token:
                        break
            assert found == [f"tenants/{n}" for n in names]
        finally:
            for name in names:
                shared.ok("tenant", "delete", name)

    def test_update_mask(self, shared):
        with tenant(shared), shared.api() as api:
            for mask in ("nothing", "name", "uid", "suspended", "limits.nothing", "boundUids"):
                with pytest.raises(grpc.RpcError) as e:
                    api.call("Tenants/UpdateTenant", {
                        "tenant": {"name": "tenants/acme", "limits": {"pids": 7}},
                        "update_mask": mask})
                assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT, mask


    def test_a_suspension_needs_a_reason(self, shared):
        with tenant(shared), shared.api() as api:
            for request in ({}, {"reason": ""}, {"reason": "x" * 5000}, {"reason": "a\nb"}):
                with pytest.raises(grpc.RpcError) as e:
                    api.call("Tenants/SuspendTenant", {"name": "tenants/acme", **request})
                assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT, request
            assert shared.croft("tenant", "suspend", "acme", "--reason", "").rc == 2
            assert "suspended" not in shared.json("tenant", "show", "acme")


class TestRequestIds:
    ID = "0f0e0d0c-0b0a-4908-8706-050403020100"

    def test_repeated(self, shared):
        with shared.api() as api:
            request = {"tenant_id": "acme", "request_id": self.ID}
            first = api.call("Tenants/CreateTenant", request)
            assert api.call("Tenants/CreateTenant", request) == first
            api.call("Tenants/DeleteTenant", {"name": "tenants/acme"})

    def test_reused_for_something_else(self, shared):
        with tenant(shared), shared.api() as api:
            request = {"tenant": {"name": "tenants/acme", "limits": {"pids": 100}},
                       "request_id": self.ID[:-1] + "1"}
            api.call("Tenants/UpdateTenant", request)
            request["tenant"]["limits"]["pids"] = 101
            with pytest.raises(grpc.RpcError) as e:
                api.call("Tenants/UpdateTenant", request)
            assert e.value.code() in (
                grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.ALREADY_EXISTS,
                grpc.StatusCode.FAILED_PRECONDITION)

    def test_malformed(self, shared):
        with shared.api() as api, pytest.raises(grpc.RpcError) as e:
            api.call("Tenants/CreateTenant", {"tenant_id": "acme", "request_id": "x" * 5000})
        assert e.value.code() == grpc.StatusCode.INVALID_ARGUMENT


class TestImages:
    @pytest.mark.parametrize(
        "data", [b"", b"not a tar", b"\x1f\x8b garbage", b"\x28\xb5\x2f\xfd garbage",
                 b"\0" * 1024, b"x" * 100_000],
        ids=["empty", "text", "gzip", "zstd", "zeroes", "letters"],
    )
    def test_not_an_archive(self, shared, data):
        result = shared.croft("image", "import", "junk", "-", stdin=data)
        assert result.rc == 1, result
        assert "junk" not in shared.ok("image", "list")

    @staticmethod
    def archive(*names):
        """A tar with these executable files."""
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            for name in names:
                entry = tarfile.TarInfo(name)
                entry.mode, entry.size = 0o755, 1
                tar.addfile(entry, io.BytesIO(b"x"))
        return data.getvalue()

    def test_without_an_init(self, shared):
        """It may be meant so, but nobody should find out by the first launch that fails."""
        result = shared.croft("image", "import", "tools", "-", stdin=self.archive("bin/tool"))
        try:
            assert result.rc == 0, result
            assert "warning: image tools has no init" in result.err
            # A retry of the same request would be told the same.
            with shared.api() as api:
                assert "init" not in api.call("Images/GetImage", {"name": "images/tools"})
        finally:
            shared.ok("image", "delete", "tools")

    def test_an_init_that_is_not_there(self, shared):
        for init, data in (("/bin/none", self.archive("bin/tool")),
                           ("/bin", self.archive("bin/tool")),
                           ("/../bin/none", self.archive("sbin/init"))):
            result = shared.croft("image", "import", "tools", "-", "--init", init, stdin=data)
            assert result.rc == 1 and f"no executable file {init}" in result.err, result
        assert "tools" not in shared.ok("image", "list")
        result = shared.croft("image", "import", "tools", "-", "--init", "/bin/tool",
                              stdin=self.archive("bin/tool"))
        assert result.rc == 0 and "warning" not in result.err, result
        try:
            assert shared.json("image", "show", "tools")["init"] == "/bin/tool"
        finally:
            shared.ok("image", "delete", "tools")

    def test_delete_of_none(self, shared):
        told = shared.refused("image", "delete", "nope", match="no image nope")
        assert "import" not in told

    def test_absent_file(self, shared):
        result = shared.croft("image", "import", "junk", "/nonexistent.tar")
        assert result.rc in (1, 2), result


def test_daemon_has_lived_through_it(shared):
    assert shared.reaper.status(shared.pids["croftd"]) == "running"
    with tenant(shared):
        shared.launch("acme/web")
        assert shared.exec("acme/web", "/bin/true").rc == 0
