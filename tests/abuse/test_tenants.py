"""A tenant reaches for another's things: every method, with every kind of resource name."""

import json
import os
import shutil

import pytest

from croft_harness import BUILD, HERE, run_program

ACME, OTHER = 4321, 4322

# Run as another user, who may not be able to read the tree: a copy and plain words.
CLIENT = """
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import api, grpc
schema = api.Schema(sys.argv[1] + "/croft.desc")
with api.Api(schema, sys.argv[2]) as client:
    for method, request in json.loads(sys.argv[3]):
        try:
            streams = schema.method(method)[3:]
            if any(streams):
                for _ in client.stream(method, [request] if streams[0] else request):
                    pass
            else:
                client.call(method, request)
            print(json.dumps([method, "OK", "", None]))
        except grpc.RpcError as e:
            print(json.dumps([method, e.code().name, e.details(), api.error_reason(e)]))
"""


def calls(daemon, uid, requests):
    """[(method, code, details, reason)] of calls made by another local user."""
    folder = f"{daemon.base}/client"
    if not os.path.isdir(folder):
        os.mkdir(folder)
        os.chmod(folder, 0o755)
        shutil.copy(os.path.join(HERE, "api.py"), folder)
        shutil.copy(os.path.join(BUILD, "proto", "croft.desc"), folder)
    result = run_program(
        ["/usr/bin/python3", "-c", CLIENT, folder, daemon.host, json.dumps(requests)],
        uid=uid, timeout=60, env={"HOME": folder},
    )
    assert result.rc == 0, result
    return [tuple(json.loads(line)) for line in result.out.splitlines()]


@pytest.fixture
def two(box):
    """Tenants acme and other, each with a container `web` and a user of its own."""
    for name, uid in (("acme", ACME), ("other", OTHER)):
        box.tenant(name)
        box.ok("tenant", "bind", name, str(uid))
        box.launch(f"{name}/web")
    return box


def container(tenant, name="web"):
    return f"tenants/{tenant}/containers/{name}"


def on_containers(tenant):
    """A request of each method that names a container or a tenant."""
    name = container(tenant)
    image = {"image": "images/busybox"}
    return [
        ("Containers/CreateContainer",
         {"parent": f"tenants/{tenant}", "container_id": "new", "container": image}),
        ("Containers/LaunchContainer",
         {"parent": f"tenants/{tenant}", "container_id": "new", "container": image}),
        ("Containers/GetContainer", {"name": name}),
        ("Containers/GetCloudInit", {"name": name}),
        ("Containers/ListContainers", {"parent": f"tenants/{tenant}"}),
        ("Containers/UpdateContainer",
         {"container": {"name": name, "limits": {"pids": 50}}, "update_mask": "limits.pids"}),
        ("Containers/StartContainer", {"name": name}),
        ("Containers/StopContainer", {"name": name}),
        ("Containers/KillContainer", {"name": name}),
        ("Containers/RestartContainer", {"name": name}),
        ("Containers/FreezeContainer", {"name": name}),
        ("Containers/ThawContainer", {"name": name}),
        ("Containers/DeleteContainer", {"name": name, "force": True}),
        ("Containers/CopyContainer", {"name": name, "container_id": "copy"}),
        ("Containers/RenameContainer", {"name": name, "container_id": "renamed"}),
        ("Containers/RebuildContainer", {"name": name, **image}),
        ("Containers/PushFiles", {"start": {"name": name, "path": "/tmp"}}),
        ("Containers/PullFiles", {"name": name, "path": "/etc/passwd"}),
        ("Containers/ExportContainer", {"name": name}),
        ("Containers/ImportContainer", {"start": {
            "parent": f"tenants/{tenant}", "container_id": "imported", "container": {}}}),
        ("Snapshots/CreateSnapshot", {"parent": name, "snapshot_id": "mine"}),
        ("Snapshots/GetSnapshot", {"name": f"{name}/snapshots/mine"}),
        ("Snapshots/ListSnapshots", {"parent": name}),
        ("Snapshots/RestoreSnapshot", {"name": f"{name}/snapshots/mine"}),
        ("Snapshots/DeleteSnapshot", {"name": f"{name}/snapshots/mine"}),
        ("Volumes/CreateVolume", {"parent": f"tenants/{tenant}", "volume_id": "mine"}),
        ("Volumes/GetVolume", {"name": f"tenants/{tenant}/volumes/mine"}),
        ("Volumes/ListVolumes", {"parent": f"tenants/{tenant}"}),
        ("Volumes/UpdateVolume", {"volume": {"name": f"tenants/{tenant}/volumes/mine"},
                                  "update_mask": "sizeBytes"}),
        ("Volumes/AttachVolume", {"name": f"tenants/{tenant}/volumes/mine", "container": name,
                                  "path": "/mine"}),
        ("Volumes/DetachVolume", {"name": f"tenants/{tenant}/volumes/mine", "container": name}),
        ("Volumes/DeleteVolume", {"name": f"tenants/{tenant}/volumes/mine"}),
        ("Networks/GetNetwork", {"tenant": f"tenants/{tenant}"}),
        ("Networks/ListForwards", {"parent": f"tenants/{tenant}"}),
        ("Containers/Exec", {"start": {"name": name, "args": ["/bin/true"]}}),
        ("Containers/Console", {"start": {"name": name}}),
        ("Containers/GetLogs", {"name": name}),
        ("Tenants/GetTenant", {"name": f"tenants/{tenant}"}),
        ("Usage/GetUsage", {"name": name}),
        ("Usage/GetUsage", {"name": f"tenants/{tenant}"}),
        ("Usage/SummarizeUsage", {"name": name}),
        ("Usage/SummarizeUsage", {"name": f"tenants/{tenant}"}),
    ]


OPERATOR_ONLY = [
    ("Tenants/CreateTenant", {"tenant_id": "mine"}),
    ("Tenants/UpdateTenant",
     {"tenant": {"name": "tenants/acme", "limits": {"pids": 10000}}}),
    ("Tenants/SuspendTenant", {"name": "tenants/other", "reason": "x"}),
    ("Tenants/ResumeTenant", {"name": "tenants/acme"}),
    ("Tenants/BindTenant", {"name": "tenants/other", "uid": ACME}),
    ("Tenants/DeleteTenant", {"name": "tenants/other", "force": True}),
    ("Plans/CreatePlan", {"plan_id": "mine"}),
    ("Plans/GetPlan", {"name": "plans/default"}),
    ("Plans/ListPlans", {}),
    ("Plans/UpdatePlan", {"plan": {"name": "plans/default", "limits": {"pids": 10000}}}),
    ("Plans/DeletePlan", {"name": "plans/default"}),
    ("Webhooks/CreateWebhook", {"webhook_id": "mine", "webhook": {
        "url": "http://127.0.0.1:1/", "source": "EVENTS"}}),
    ("Webhooks/GetWebhook", {"name": "webhooks/hook"}),
    ("Webhooks/ListWebhooks", {}),
    ("Webhooks/UpdateWebhook", {"webhook": {
        "name": "webhooks/hook", "url": "http://127.0.0.1:1/"}, "update_mask": "url"}),
    ("Webhooks/RotateWebhookSecret", {"name": "webhooks/hook"}),
    ("Webhooks/TestWebhook", {"name": "webhooks/hook"}),
    ("Webhooks/DeleteWebhook", {"name": "webhooks/hook"}),
    ("Networks/UpdateNetwork", {"network": {"tenant": "tenants/acme", "smtp": True},
                                "update_mask": "smtp"}),
    ("Networks/AddForward", {"forward": {"container": "tenants/acme/containers/web",
                                         "first_port": 80, "target_port": 80}}),
    ("Networks/DeleteForward", {"container": "tenants/acme/containers/web", "first_port": 80}),
    ("Volumes/AttachHostDirectory", {"container": "tenants/acme/containers/web",
                                     "host_directory": "etc", "path": "/mine"}),
    ("Volumes/DetachHostDirectory", {"container": "tenants/acme/containers/web",
                                     "host_directory": "etc"}),
    ("Snapshots/PublishSnapshot",
     {"name": "tenants/acme/containers/web/snapshots/mine", "image_id": "mine"}),
    ("Images/ImportImage", {"start": {"image_id": "mine"}}),
    ("Images/DeleteImage", {"name": "images/busybox"}),
    ("Images/SetImageAlias", {"name": "images/busybox", "alias": "mine"}),
    ("Images/RemoveImageAlias", {"alias": "mine"}),
    ("Usage/ListClosedUsage", {}),
    ("Usage/CorrectUsage", {"name": "tenants/acme", "meter": "cpu.used", "amount": "-1",
                            "hour": "2026-01-01T00:00:00Z", "reason": "x"}),
    ("Usage/VerifyUsage", {"tenant": "tenants/acme"}),
    ("Usage/SummarizeTenants", {}),
    ("Usage/ReportNoisyNeighbours", {"windowSeconds": 1}),
    ("Abuse/GetAbuseRules", {}),
    ("Abuse/ReloadAbuseRules", {}),
    ("Abuse/ListAbuseCases", {"tenant": "tenants/acme"}),
    ("Abuse/GetAbuseCase", {"number": 1}),
    ("Abuse/LiftAbuseCase", {"number": 1}),
    ("Abuse/GetAbuseEvidence", {"number": 1}),
    ("Host/GetHostInfo", {}),
    ("Host/Shutdown", {}),
]


def test_every_method_is_in_a_table(schema):
    """A method that nobody put into a list here is a method that nobody tried."""
    ours = {m for m, _ in on_containers("x") + OPERATOR_ONLY}
    own_only = {"Tenants/ListTenants", "Images/GetImage", "Images/ListImages",
                "Usage/ExportUsage", "Usage/ListLiveUsage", "Events/ListEvents",
                "Policies/GetPolicy", "Policies/ListPolicies", "Host/GetVersion"}
    every = {m.removeprefix("croft.v1.") for m in schema.methods()}
    assert every == ours | own_only


def test_anothers_is_not_there(two):
    """NOT_FOUND, never PERMISSION_DENIED, and in the same words as for what does not exist."""
    def settings():
        return {k: v for k, v in two.info("other/web").items() if k != "disk_used_bytes"}

    before = settings()
    theirs = calls(two, ACME, on_containers("other"))
    absent = calls(two, ACME, on_containers("nobody"))
    for (method, code, words, reason), (_, code2, words2, reason2) in zip(theirs, absent):
        assert code == code2 == "NOT_FOUND", (method, code, words)
        assert reason == reason2, method
        assert words.replace("other", "X") == words2.replace("nobody", "X"), method
    assert settings() == before


def test_control_its_own_is_there(two):
    """The same requests on what is its own are not NOT_FOUND."""
    for method, code, words, _ in calls(two, ACME, on_containers("acme")):
        assert code != "PERMISSION_DENIED", (method, words)
        if method not in ("Containers/GetContainer",):
            continue
        assert code == "OK", words
    two.ok("snapshot", "create", "other/web", "mine")
    two.ok("volume", "create", "other/mine")
    two.ok("set", "other/web", "--user-data", "-", stdin=b"#cloud-config\n")
    own = calls(two, OTHER, [m for m in on_containers("other")
                             if m[0].split("/")[1].startswith(("Get", "List", "Exec"))])
    assert [c for _, c, _, _ in own] == ["OK"] * len(own), own


def test_operators_methods_are_refused(two):
    for method, code, words, _ in calls(two, ACME, OPERATOR_ONLY):
        assert code in ("PERMISSION_DENIED", "NOT_FOUND"), (method, code, words)
    assert two.json("tenant", "show", "acme")["limits"]["pids"] == 256
    assert two.json("tenant", "show", "other")["bound_uids"] == [OTHER]


def test_a_stranger_is_nobody(two):
    for method, code, words, _ in calls(two, 9999, on_containers("acme") + OPERATOR_ONLY):
        assert code in ("PERMISSION_DENIED", "NOT_FOUND", "UNAUTHENTICATED"), (method, code)
        assert "other" not in (words or "")


def test_lists_hold_only_its_own(two):
    for command in (("list",), ("tenant", "list"), ("events",),
                    ("usage", "export", "--format", "csv")):
        result = two.croft(*command, uid=ACME)
        assert "other" not in result.out + result.err, (command, result)


def test_images_tell_nothing_of_others_containers(two):
    """How many use an image: of its own containers, for a tenant."""
    two.launch("other/second")
    for command in (("image", "list"), ("image", "show", "busybox")):
        assert two.json(*command, uid=ACME)["container_count"] == 1
        assert two.json(*command)["container_count"] == 3


def test_its_own_fields_only(two):
    """Limits of the tenant, roles and the server's own fields cannot be set from below."""
    (answer,) = calls(two, ACME, [("Containers/CreateContainer", {
        "parent": "tenants/acme", "container_id": "new", "container": {
            "name": "tenants/other/containers/new", "uid": "x", "image": "images/busybox",
            "state": "RUNNING", "run": {"host_pid": 1, "id_base": 0}, "cores": "0"}})])
    assert answer[1] in ("OK", "INVALID_ARGUMENT"), answer
    two.refused("info", "other/new", match=".")
    if answer[1] == "OK":
        made = two.info("acme/new")
        assert made["name"] == "tenants/acme/containers/new"
        assert made.get("state") == "STOPPED"
        assert made.get("uid") != "x"


def test_io_limits_are_not_a_tenants_to_set(two):
    """Who holds itself to little can hold up who waits for the same: a page of an image, a lock."""
    name, limits = container("acme"), {"ioReadBytes": 8 << 20}
    new = {"parent": "tenants/acme", "container_id": "new",
           "container": {"image": "images/busybox", "limits": limits}}
    imported = dict(new, container={"limits": {"ioReadOps": 500}})
    asked = [
        ("Containers/CreateContainer", new),
        ("Containers/LaunchContainer", new),
        ("Containers/ImportContainer", {"start": imported}),
        ("Containers/UpdateContainer", {"container": {"name": name, "limits": limits}}),
        ("Containers/UpdateContainer", {"container": {"name": name, "limits": limits},
                                        "update_mask": "limits.ioReadBytes"}),
    ]
    for method, code, words, reason in calls(two, ACME, asked):
        assert (code, reason) == ("PERMISSION_DENIED", "OPERATORS_ONLY"), (method, code, words)
        assert "io-read" in words
    two.refused("info", "acme/new", match="no container")
    # The control: an operator may, and what an operator has set is not a tenant's to take off.
    two.ok("set", "acme/web", "--io-read", "8MiB,500iops")
    off = [("Containers/UpdateContainer", {"container": {"name": name}, "update_mask": path})
           for path in ("limits.ioReadBytes", "limits.ioReadOps")]
    for method, code, words, _ in calls(two, ACME, off):
        assert code == "PERMISSION_DENIED", (method, code, words)
    limits = two.info("acme/web")["limits"]
    assert (limits["io_read_bytes"], limits["io_read_ops"]) == (8 << 20, 500)
    # Nor does it keep a tenant from changing the rest.
    two.ok("set", "acme/web", "--pids", "50", uid=ACME)


def test_connections_of_one_user_do_not_shut_out_another(two):
    """A peer has so many connections, and the server keeps some for others."""
    import socket

    opened = []
    try:
        for _ in range(2000):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(1)
            try:
                s.connect(two.socket)
            except OSError:
                s.close()
                break
            opened.append(s)
        (answer,) = calls(two, ACME, [("Containers/GetContainer",
                                       {"name": container("acme")})])
        assert answer[1] == "OK", answer
    finally:
        for s in opened:
            s.close()
    assert two.exec("acme/web", "/bin/true").rc == 0
