/*
 * A client of Croft as a JavaScript programmer would write it: @grpc/grpc-js and the .proto files.
 * node grpc_js_client.js STORY HOST PROTO_DIR; what a story saw is one JSON object on stdout, for
 * test_grpc_js.py to judge. NODE_PATH leads to the packages.
 */
"use strict";

const crypto = require("node:crypto");
const path = require("node:path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");
const protobuf = require("protobufjs");

const [story, host, protoDir] = process.argv.slice(2);
const SECONDS = 60; /* for one call; only a broken server takes that long */
const files = ["containers", "events", "host", "tenants"].map((f) => `croft/v1/${f}.proto`);
const { croft } = grpc.loadPackageDefinition(loader.loadSync(files, {
	includeDirs: [protoDir], keepCase: true, longs: Number, enums: String, oneofs: true,
	defaults: true,
}));
const clients = {};
for (const name of ["Containers", "Events", "Host", "Tenants"])
	clients[name] = new croft.v1[name](host, grpc.credentials.createInsecure());

const within = (seconds) => ({ deadline: Date.now() + seconds * 1000 });

/* A unary call: "Tenants.GetTenant" and its request. */
function ask(method, request, options = within(SECONDS)) {
	const [service, name] = method.split(".");
	return new Promise((resolve, reject) =>
		clients[service][name](request, new grpc.Metadata(), options,
			(error, reply) => (error ? reject(error) : resolve(reply))));
}

/* A mutation, which has a request id. */
const change = (method, request) => ask(method, { request_id: crypto.randomUUID(), ...request });

/* The end of a stream: its status, as grpc-js tells it, with whatever it delivered. */
function drain(call, on_data = () => {}) {
	const seen = [];
	return new Promise((resolve) => {
		call.on("data", (message) => { seen.push(message); on_data(message); });
		call.on("error", () => {}); /* the status says it too */
		call.on("status", ({ code, details }) => resolve({ code, details, seen }));
	});
}

/* google.rpc.Status in the trailers, unpacked with Croft's own .proto files. */
function explain(error) {
	const root = new protobuf.Root();
	root.resolvePath = (_, target) =>
		target.startsWith("google/protobuf/") ? null : path.join(protoDir, target);
	root.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto"]);
	const decode = (name, bytes) => {
		const type = root.lookupType(name);
		return type.toObject(type.decode(bytes), { longs: Number });
	};
	const [bytes] = error.metadata.get("grpc-status-details-bin");
	const { code, message, details } = decode("google.rpc.Status", bytes);
	return {
		code: error.code, text: error.details, status: { code, message },
		details: details.map(({ type_url, value }) => {
			const name = type_url.split("/").pop();
			return { name, ...decode(name, value) };
		}),
	};
}

async function refusal(promise) {
	try {
		await promise;
	} catch (error) {
		return explain(error);
	}
	throw new Error("it was not refused");
}

const WEB = "tenants/acme/containers/web";
const ACME = {
	tenant_id: "acme",
	tenant: { limits: { memory_bytes: 128 << 20, pids: 64, containers: 1 } },
};
const web = (script) => ({
	parent: "tenants/acme", container_id: "web",
	container: { image: "images/busybox", init_args: ["/bin/sh", "-c", script] },
});

/* One exec: what it is given goes out by and by; what comes back is joined by stream. */
async function exec(args, input, options = within(SECONDS)) {
	const call = clients.Containers.Exec(new grpc.Metadata(), options);
	const done = drain(call);
	call.write({ start: { name: WEB, args } });
	for (const chunk of input)
		call.write({ stdin: chunk });
	call.write({ close_stdin: true });
	call.end();
	const { code, seen } = await done;
	const bytes = (kind) =>
		Buffer.concat(seen.filter((m) => m.kind === kind).map((m) => m[kind]));
	return {
		code, first: seen[0]?.kind, exit: seen.at(-1)?.exit,
		stdout: bytes("stdout"), stderr: bytes("stderr"),
	};
}

async function states() {
	const states = [];
	const go = async (verb, request = { name: WEB }) => {
		states.push([verb, (await change(`Containers.${verb}Container`, request)).state]);
	};
	await go("Freeze");
	await go("Thaw");
	await go("Stop", { name: WEB, timeout: { seconds: 5 } });
	await go("Start");
	await go("Restart", { name: WEB, timeout: { seconds: 5 } });
	await go("Kill");
	return states;
}

async function life() {
	const seen = { tenant: await change("Tenants.CreateTenant", ACME) };
	seen.launched = await change("Containers.LaunchContainer",
		web("trap 'exit 0' TERM PWR USR2; echo up; while :; do sleep 0.1; done"));
	seen.listed = (await ask("Containers.ListContainers", { parent: "tenants/acme" })).containers;
	seen.updated = await change("Containers.UpdateContainer", {
		container: { name: WEB, limits: { memory_bytes: 64 << 20 } },
		update_mask: { paths: ["limits.memory_bytes"] },
	});

	const chunks = Array.from({ length: 32 }, () => crypto.randomBytes(32 << 10));
	const cat = await exec(["/bin/sh", "-c", "echo hark >&2; cat; exit 7"], chunks);
	seen.exec = {
		code: cat.code, first: cat.first, exit: cat.exit, stderr: cat.stderr.toString(),
		same: cat.stdout.equals(Buffer.concat(chunks)), bytes: cat.stdout.length,
	};

	const logs = await drain(clients.Containers.GetLogs({ name: WEB }, within(SECONDS)));
	seen.logs = { code: logs.code, text: Buffer.concat(logs.seen.map((m) => m.data)).toString() };
	seen.states = await states();
	await change("Containers.DeleteContainer", { name: WEB });
	seen.gone = await refusal(ask("Containers.GetContainer", { name: WEB }));
	await change("Tenants.DeleteTenant", { name: "tenants/acme" });
	const events = await drain(clients.Events.ListEvents({}, within(SECONDS)));
	seen.events = { code: events.code, list: events.seen };
	return seen;
}

/* What ends a call from this side ends the command inside. */
async function endings() {
	await change("Tenants.CreateTenant", ACME);
	await change("Containers.LaunchContainer", web("while :; do sleep 1; done"));

	const late = clients.Containers.Exec(new grpc.Metadata(), within(2));
	const late_done = drain(late);
	late.write({ start: { name: WEB, args: ["/bin/sleep", "1000"] } });
	const deadline = await late_done;

	const left = clients.Containers.Exec();
	const left_done = drain(left, (m) => m.kind === "started" && left.cancel());
	left.write({ start: { name: WEB, args: ["/bin/sleep", "1000"] } });
	const cancel = await left_done;

	const follow = clients.Events.ListEvents({ follow: true });
	const followed = await drain(follow, () => follow.cancel());
	const brief = ({ code, seen }) => ({ code, pid: seen[0]?.started?.host_pid });
	return {
		deadline: brief(deadline), cancel: brief(cancel),
		follow: { code: followed.code, n: followed.seen.length },
		after: (await exec(["/bin/true"], [])).exit,
	};
}

async function errors() {
	const none = await refusal(ask("Tenants.GetTenant", { name: "tenants/none" }));
	const request = { ...ACME, request_id: crypto.randomUUID() };
	const uids = [];
	for (let i = 0; i < 2; i++)
		uids.push((await ask("Tenants.CreateTenant", request)).uid);
	const container = { parent: "tenants/acme", container: { image: "images/busybox" } };
	const create = (container_id) =>
		change("Containers.CreateContainer", { ...container, container_id });
	await create("one");
	return {
		none, uids,
		exists: await refusal(change("Tenants.CreateTenant", ACME)),
		invalid: await refusal(change("Tenants.CreateTenant", { tenant_id: "No" })),
		quota: await refusal(create("two")),
	};
}

({ life, endings, errors })[story]()
	.then((seen) => process.stdout.write(JSON.stringify(seen)))
	.catch((error) => { console.error(error); process.exitCode = 1; })
	.finally(() => Object.values(clients).forEach((c) => c.close()));
