#!/usr/bin/python3
"""What a billing panel's server module (WHMCS and its like) does with Croft, as one small client.

    croft_panel.py create CUSTOMER-17 --plan small --account 17
    croft_panel.py suspend CUSTOMER-17 --reason "invoice 2031 is overdue"
    croft_panel.py unsuspend CUSTOMER-17
    croft_panel.py change-package CUSTOMER-17 --plan large
    croft_panel.py terminate CUSTOMER-17
    croft_panel.py usage --month 2026-11
    croft_panel.py usage-update

Each verb may be repeated as often as a panel likes: it then says what is. Prints JSON, usage-update
a line of it for each tenant. Exits 0 done, 1 refused, 2 used wrongly, 3 not reached (try again).
Needs python3-grpcio and the descriptors that Croft installs; knows nothing else of Croft.
"""

import argparse
import datetime
import json
import sys
import time
import uuid

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

TRIES = 5
PAGE = 1000


class Croft:
    """Calls croftd with dicts, by the descriptors alone."""

    def __init__(self, address, descriptors):
        files = descriptor_pb2.FileDescriptorSet()
        with open(descriptors, "rb") as f:
            files.ParseFromString(f.read())
        self._pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            self._pool.AddSerializedFile(file.SerializeToString())
        self._channel = grpc.insecure_channel(address)

    def _stub(self, method, kind):
        service, name = method.split("/")
        found = self._pool.FindServiceByName(f"croft.v1.{service}").FindMethodByName(name)
        request, reply = _class(found.input_type), _class(found.output_type)
        return request, getattr(self._channel, kind)(
            f"/croft.v1.{method}", request_serializer=request.SerializeToString,
            response_deserializer=reply.FromString)

    def call(self, method, **fields):
        request, stub = self._stub(method, "unary_unary")
        return _dict(stub(json_format.ParseDict(fields, request()), timeout=300))

    def change(self, method, **fields):
        """A change, which is made once: after a connection that broke it is asked for again under
        the same id, and croftd answers with what it answered then."""
        fields["request_id"] = str(uuid.uuid4())
        for tries in range(1, TRIES + 1):
            try:
                return self.call(method, **fields)
            except grpc.RpcError as e:
                # ABORTED: another change of that tenant is under way.
                if tries == TRIES or e.code() not in (
                        grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED):
                    raise
                time.sleep(tries)

    def stream(self, method, **fields):
        request, stub = self._stub(method, "unary_stream")
        for message in stub(json_format.ParseDict(fields, request()), timeout=600):
            yield _dict(message)


def _class(descriptor):
    # protobuf has had the first since 4.22, and has not had the second since 5.
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(descriptor.file.pool).GetPrototype(descriptor)


def _dict(message):
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


class Refused(Exception):
    pass


class Panel:
    def __init__(self, croft):
        self.croft = croft

    def create(self, tenant, plan, account):
        wanted = {"plan": plan, "account_ref": account}
        try:
            return self.croft.change("Tenants/CreateTenant", tenant_id=tenant, tenant=wanted)
        except grpc.RpcError as e:
            if e.code() != grpc.StatusCode.ALREADY_EXISTS:
                raise
        # From an earlier try of ours, or somebody else's? The account tells.
        found = self.croft.call("Tenants/GetTenant", name=f"tenants/{tenant}")
        if found.get("account_ref", "") != account:
            raise Refused(f"there is a tenant {tenant} of another account")
        if found["plan"] != plan:
            raise Refused(f"{tenant} is there, with the plan {found['plan']}: change its package")
        return found

    def suspend(self, tenant, reason):
        """The panel's own hold: those of an operator, or for abuse, are others' to lift."""
        return self.croft.change("Tenants/SuspendTenant", name=f"tenants/{tenant}",
                                 type="BILLING", reason=reason)

    def unsuspend(self, tenant):
        """What it still is suspended for is in the answer's holds."""
        return self.croft.change("Tenants/ResumeTenant", name=f"tenants/{tenant}", type="BILLING")

    def change_package(self, tenant, plan):
        return self.croft.change(
            "Tenants/UpdateTenant", tenant={"name": f"tenants/{tenant}", "plan": plan},
            update_mask="plan")

    def terminate(self, tenant, erase_evidence):
        """The tenant with all that it has. Its records stay: the last month is yet to be billed.
        Panels do this by themselves to who does not pay, so not to who is held for abuse."""
        try:
            found = self.croft.call("Tenants/GetTenant", name=f"tenants/{tenant}")
            if not erase_evidence and any(h["type"] == "ABUSE" for h in found.get("holds", [])):
                raise Refused(
                    f"{tenant} is suspended for abuse, and its files may be evidence: keep a copy "
                    f"of them, then lift that hold (croft tenant resume {tenant} --type abuse) and "
                    f"terminate it again, or delete it (croft tenant delete {tenant} --force)")
            self.croft.change("Tenants/DeleteTenant", name=f"tenants/{tenant}", force=True)
        except grpc.RpcError as e:
            if e.code() != grpc.StatusCode.NOT_FOUND:
                raise
        return {}

    def usage(self, month):
        """Of every tenant, by meter: sums of that month until now, to be written over the last
        ones, not added to them. They stand when all windows are closed, but for what an operator
        corrects later: ask for the month before again, too."""
        behind = (month + datetime.timedelta(days=32)).replace(day=1)
        period = {"from": month.strftime("%Y-%m-%dT00:00:00Z")}
        if behind <= datetime.datetime.now(datetime.timezone.utc):
            period["to"] = behind.strftime("%Y-%m-%dT00:00:00Z")
        return [{
            "tenant": s["name"].partition("/")[2],
            "account": s.get("account_ref", ""),
            "usage": {m["meter"]: int(m["quantity"]) for m in s.get("sums", [])},
            "stands": s.get("windows", 0) == s.get("closed_windows", 0),
        } for s in self.croft.stream("Usage/SummarizeTenants", **period)]

    def usage_update(self):
        """Of every tenant that is there, what WHMCS' UsageUpdate writes down of an account."""
        rows, token = [], ""
        while True:
            page = self.croft.call("Tenants/ListTenants", page_size=PAGE, page_token=token)
            rows += [_standing(tenant) for tenant in page.get("tenants", [])]
            token = page.get("next_page_token")
            if not token:
                return rows


def _standing(tenant):
    """In megabytes of 2^20 bytes, rounded up. None: no limit, or not known yet."""
    limits = {name: int(tenant["limits"][name])
              for name in ("disk_bytes", "traffic_bytes", "traffic_out_bytes")
              if name in tenant.get("limits", {})}
    disk = int(tenant.get("disk_used_bytes", 0))
    if not disk and tenant.get("container_count"):
        disk = None
    used, limit = _bandwidth(tenant.get("traffic", {}), limits)
    return {
        "name": tenant["name"].partition("/")[2],
        "account_ref": tenant.get("account_ref", ""),
        "disk_used_mb": _megabytes(disk),
        "disk_limit_mb": _megabytes(limits.get("disk_bytes")),
        "bw_used_mb": _megabytes(used),
        "bw_limit_mb": _megabytes(limit),
    }


def _bandwidth(traffic, limits):
    """(used, limit) in the tenant's present period. Of two allowances, that both ways together and
    that of what is sent, the one that is used up more."""
    sent = int(traffic.get("out_bytes", 0))
    both = sent + int(traffic.get("in_bytes", 0))
    found = [(used, limits[name])
             for name, used in (("traffic_bytes", both), ("traffic_out_bytes", sent))
             if name in limits]
    return max(found, key=lambda x: x[0] / x[1], default=(both, None))


def _megabytes(n):
    return None if n is None else -(-n // (1 << 20))


def a_month(text):
    return datetime.datetime.strptime(text, "%Y-%m").replace(tzinfo=datetime.timezone.utc)


def arguments():
    parser = argparse.ArgumentParser(description="A billing panel's verbs, on Croft.")
    parser.add_argument("--host", default="unix:/run/croft/croft.sock")
    parser.add_argument("--descriptors", default="/usr/local/share/croft/croft.desc")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, options in (
            ("create", ("--plan", "--account")), ("suspend", ("--reason",)), ("unsuspend", ()),
            ("change-package", ("--plan",)), ("terminate", ())):
        one = verbs.add_parser(verb)
        one.add_argument("tenant")
        for option in options:
            one.add_argument(option, required=True)
    verbs.choices["terminate"].add_argument(
        "--erase-evidence", action="store_true", help="also while it is suspended for abuse")
    verbs.add_parser("usage-update")
    verbs.add_parser("usage").add_argument("--month", required=True, type=a_month)
    args = vars(parser.parse_args())
    return args.pop("host"), args.pop("descriptors"), args.pop("verb"), args


def main():
    host, descriptors, verb, fields = arguments()
    panel = Panel(Croft(host, descriptors))
    try:
        answer = getattr(panel, verb.replace("-", "_"))(**fields)
    except Refused as e:
        sys.exit(f"croft_panel: {e}")
    except grpc.RpcError as e:
        print(f"croft_panel: {e.details()}", file=sys.stderr)
        return 3 if e.code() == grpc.StatusCode.UNAVAILABLE else 1
    if verb == "usage-update":
        for row in answer:
            print(json.dumps(row))
    else:
        print(json.dumps(answer, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
