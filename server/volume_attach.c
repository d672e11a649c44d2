/*
 * What a container has mounted: attached to and detached from one that is stopped. Nothing but its
 * row changes: the next start mounts what the row says.
 */
#include "server/svc.h"

#include "base/log.h"
#include "server/container_op.h"
#include "server/details.h"
#include "server/events.h"
#include "server/link.h"
#include "server/store.h"
#include "server/volume.h"

#include "croft/v1/volumes.pb-c.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct attach {
	struct container_op *op;
	struct container_mount mount;
};

static const char *mount_name(const struct container_mount *mount)
{
	return mount->volume ? mount->volume->name : mount->host_dir;
}

static void attach_fail(struct attach *a, const struct err *err)
{
	container_op_fail(a->op, err);
	free(a);
}

static void add_event(struct db_tx *tx, const struct attach *a, bool attached)
{
	const struct container *c = a->op->container;
	const struct container_mount *mount = &a->mount;
	struct details d;

	details_init(&d);
	details_text(&d, "volume", mount->volume ? mount->volume->name : "");
	details_text(&d, "host_directory", mount->host_dir);
	details_text(&d, "path", mount->path);
	if (attached)
		details_bool(&d, "read_only", mount->read_only);
	events_add_container(tx, c, "", attached ? "volume.attached" : "volume.detached",
		details_end(&d), "%s%s was %s %s/%s", mount->volume ? "volume " : "host directory ",
		mount_name(mount), attached ? "attached to" : "detached from", c->tenant->name,
		c->name);
}

/* --- attaching --- */

static int check_place(
	const struct container *c, const struct container_mount *mount, struct err *err)
{
	int r = mount_path_check(mount->path, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < c->n_mounts; i++) {
		const struct container_mount *other = &c->mounts[i];

		if (mount->volume == other->volume && !strcmp(mount->host_dir, other->host_dir))
			return err_set(err, ERR_ALREADY_EXISTS, "VOLUME_ATTACHED",
				"%s/%s has %s at %s already", c->tenant->name, c->name,
				mount_name(mount), other->path);
		if (mount_path_overlap(mount->path, other->path))
			return err_set_subject(err, ERR_FAILED_PRECONDITION, "MOUNT_PATH_TAKEN",
				"path",
				"%s has %s mounted at %s, and nothing is mounted in or over "
				"another mount; choose another path",
				c->name, mount_name(other), other->path);
	}
	if (c->n_mounts == CONTAINER_MOUNTS_MAX)
		return err_set_subject(err, ERR_RESOURCE_EXHAUSTED, "TOO_MANY_MOUNTS", "mounts",
			"%s/%s has %d mounts, which is the most; detach one", c->tenant->name,
			c->name, CONTAINER_MOUNTS_MAX);
	return 0;
}

static int check_stopped(const struct container *c, struct err *err)
{
	if (!container_state_is_live(c->state))
		return 0;
	return err_set(err, ERR_FAILED_PRECONDITION, "CONTAINER_STATE",
		"%s/%s is %s, and what it has mounted is fixed while it runs; stop it first",
		c->tenant->name, c->name, container_state_name(c->state));
}

static void on_attached(void *arg, const struct err *err)
{
	struct attach *a = arg;
	struct container *c = a->op->container;

	if (err) {
		container_mount_remove(c, a->mount.path);
		attach_fail(a, err);
		return;
	}
	log_info("volume-attached tenant=%s container=%s volume=%s%s", c->tenant->name, c->name,
		a->mount.volume ? "" : "host:", mount_name(&a->mount));
	container_op_reply(a->op);
	free(a);
}

static void commit_attach(struct attach *a)
{
	struct db_tx *tx = db_tx_new();

	container_mount_add(a->op->container, &a->mount);
	store_add_mount(tx, a->op->container, &a->mount);
	add_event(tx, a, true);
	container_op_store(a->op, tx);
	db_commit(a->op->server->db, tx, on_attached, a);
}

/*
 * Who may have the volume may not have every container: of another tenant's it is not even told
 * whether it exists.
 */
static int check_owner(const char *volume, const char *container, struct err *err)
{
	char theirs[NAME_SIZE];
	char own[NAME_SIZE];
	int r = name_parse_owner(volume, own, err);

	if (r == 0)
		r = name_parse_owner(container, theirs, err);
	if (r == 0 && strcmp(own, theirs) != 0)
		r = err_set(err, ERR_NOT_FOUND, "CONTAINER_NOT_FOUND",
			"tenant %s has no container of tenant %s: a volume is attached to "
			"containers of its own tenant alone",
			own, theirs);
	return r;
}

/*
 * An operation that holds its container, or NULL: the call was or will be answered. volume NULL: a
 * directory of the host.
 */
static struct attach *begin(struct grpc_call *call, const ProtobufCMessage *message,
	const char *request_id, const char *container, const char *volume)
{
	struct container_op *op;
	struct attach *a;
	struct err err;
	int r = volume ? check_owner(volume, container, &err) : 0;

	if (r < 0) {
		grpc_fail(call, &err);
		return NULL;
	}
	op = container_op_find(call, message, request_id, container);
	if (!op)
		return NULL;
	r = check_stopped(op->container, &err);
	if (r == 0)
		r = container_op_hold(op, &err);
	a = r == 0 ? calloc(1, sizeof(*a)) : NULL;
	if (a) {
		a->op = op;
		return a;
	}
	if (r == 0)
		err_oom(&err);
	container_op_fail(op, &err);
	return NULL;
}

/* As it is, even if it is too long: it is checked where the others are. */
static void set_path(struct container_mount *mount, const char *path)
{
	snprintf(mount->path, sizeof(mount->path), "%s",
		strlen(path) < sizeof(mount->path) ? path : "");
}

static void attach_volume(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__AttachVolumeRequest *request = (const void *)message;
	struct attach *a = begin(
		call, message, request->request_id, request->container, request->name);
	struct volume *v;
	struct err err;
	int r;

	if (!a)
		return;
	r = volume_find(&a->op->server->model, request->name, &v, &err);
	if (r == 0 && v->dropping)
		r = err_set(&err, ERR_FAILED_PRECONDITION, "VOLUME_DELETING",
			"volume %s/%s is being deleted", v->tenant->name, v->name);
	if (r == 0) {
		a->mount.volume = v;
		a->mount.read_only = request->read_only;
		set_path(&a->mount, request->path);
		r = check_place(a->op->container, &a->mount, &err);
	}
	if (r < 0)
		attach_fail(a, &err);
	else
		commit_attach(a);
}

static void on_host_directory(
	void *arg, const struct err *err, const void *reply, const int *fds, size_t n_fds)
{
	struct attach *a = arg;

	(void)reply;
	link_close_fds(fds, n_fds);
	if (err)
		attach_fail(a, err);
	else
		commit_attach(a);
}

/* The supervisor alone knows which directories there are. */
static void attach_host_directory(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__AttachHostDirectoryRequest *request = (const void *)message;
	struct attach *a = begin(call, message, request->request_id, request->container, NULL);
	struct msg_host_directory msg = {0};
	struct err err;
	int r;

	if (!a)
		return;
	r = name_check("host directory", request->host_directory, &err);
	if (r == 0) {
		snprintf(a->mount.host_dir, sizeof(a->mount.host_dir), "%s",
			request->host_directory);
		memcpy(msg.name, a->mount.host_dir, sizeof(msg.name));
		a->mount.read_only = true;
		set_path(&a->mount, request->path);
		r = check_place(a->op->container, &a->mount, &err);
	}
	if (r == 0)
		r = link_send(a->op->server->link, MSG_HOST_DIRECTORY, &msg, NULL, 0,
			on_host_directory, a, &err);
	if (r < 0)
		attach_fail(a, &err);
}

/* --- detaching --- */

static void on_detached(void *arg, const struct err *err)
{
	struct attach *a = arg;
	struct container *c = a->op->container;

	if (err) {
		attach_fail(a, err);
		return;
	}
	container_mount_remove(c, a->mount.path);
	log_info("volume-detached tenant=%s container=%s volume=%s%s", c->tenant->name, c->name,
		a->mount.volume ? "" : "host:", mount_name(&a->mount));
	container_op_reply(a->op);
	free(a);
}

static void commit_detach(struct attach *a)
{
	struct db_tx *tx = db_tx_new();

	container_mount_remove(a->op->container, a->mount.path);
	store_delete_mount(tx, a->op->container, &a->mount);
	add_event(tx, a, false);
	container_op_store(a->op, tx);
	/* Until that is committed it has the volume, which so can't be deleted. */
	container_mount_add(a->op->container, &a->mount);
	db_commit(a->op->server->db, tx, on_detached, a);
}

/* a->mount is filled from what the container has of that name. */
static int find_mount(
	struct attach *a, const struct volume *v, const char *host_dir, struct err *err)
{
	const struct container *c = a->op->container;

	for (size_t i = 0; i < c->n_mounts; i++) {
		if (c->mounts[i].volume != v || strcmp(c->mounts[i].host_dir, host_dir) != 0)
			continue;
		a->mount = c->mounts[i];
		return 0;
	}
	return err_set(err, ERR_NOT_FOUND, "NOT_ATTACHED", "%s/%s does not have %s %.40s",
		c->tenant->name, c->name, v ? "volume" : "host directory", v ? v->name : host_dir);
}

static void detach_volume(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__DetachVolumeRequest *request = (const void *)message;
	struct attach *a = begin(
		call, message, request->request_id, request->container, request->name);
	struct volume *v;
	struct err err;
	int r;

	if (!a)
		return;
	r = volume_find(&a->op->server->model, request->name, &v, &err);
	if (r == 0)
		r = find_mount(a, v, "", &err);
	if (r < 0)
		attach_fail(a, &err);
	else
		commit_detach(a);
}

static void detach_host_directory(struct grpc_call *call, const ProtobufCMessage *message)
{
	const Croft__V1__DetachHostDirectoryRequest *request = (const void *)message;
	struct attach *a = begin(call, message, request->request_id, request->container, NULL);
	struct err err;
	int r;

	if (!a)
		return;
	r = name_check("host directory", request->host_directory, &err);
	if (r == 0)
		r = find_mount(a, NULL, request->host_directory, &err);
	if (r < 0)
		attach_fail(a, &err);
	else
		commit_detach(a);
}

const struct grpc_handler volume_attach_handlers[] = {
	{.path = "/croft.v1.Volumes/AttachVolume", .start = attach_volume},
	{.path = "/croft.v1.Volumes/DetachVolume", .start = detach_volume},
	{.path = "/croft.v1.Volumes/AttachHostDirectory", .start = attach_host_directory},
	{.path = "/croft.v1.Volumes/DetachHostDirectory", .start = detach_host_directory},
	{.path = NULL},
};
