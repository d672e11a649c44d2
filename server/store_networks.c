/* Statements on networks and places in them, and their loading; see store.h. */
#include "server/store.h"

void store_put_network(struct db_tx *tx, const struct tenant *t)
{
	db_tx_write(tx,
		"INSERT INTO networks (number, tenant_uid, next_slot, smtp) VALUES (?1, ?2, ?3, ?4)"
		" ON CONFLICT (tenant_uid) DO UPDATE SET next_slot=?3, smtp=?4",
		"isid", (int64_t)t->net_number, t->uid, (int64_t)t->net_next_slot,
		(int)t->net_smtp);
}

void store_add_forward(struct db_tx *tx, const struct container *c, const struct forward *forward)
{
	const struct net_forward *f = &forward->ports;
	char address[NET_TEXT_MAX];

	db_tx_write(tx,
		"INSERT INTO forwards (address, protocol, first, last, target, container_uid)"
		" VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
		"sdddds", net_format(&f->listen, address), (int)f->protocol, (int)f->first,
		(int)f->last, (int)f->to, c->uid);
}

void store_delete_forward(struct db_tx *tx, const struct forward *forward)
{
	const struct net_forward *f = &forward->ports;
	char address[NET_TEXT_MAX];

	db_tx_write(tx, "DELETE FROM forwards WHERE address=?1 AND protocol=?2 AND first=?3", "sdd",
		net_format(&f->listen, address), (int)f->protocol, (int)f->first);
}

void store_put_place(struct db_tx *tx, const struct container *c)
{
	const struct tenant *t = c->tenant;

	if (c->no_network) {
		db_tx_write(tx,
			"INSERT INTO container_networks (container_uid, number, slot)"
			" VALUES (?1, NULL, NULL) ON CONFLICT (container_uid) DO NOTHING",
			"s", c->uid);
		return;
	}
	if (!c->net_slot)
		return;
	store_put_network(tx, t);
	db_tx_write(tx,
		"INSERT INTO container_networks (container_uid, number, slot) VALUES (?1, ?2, ?3)"
		" ON CONFLICT (container_uid) DO NOTHING",
		"sii", c->uid, (int64_t)t->net_number, (int64_t)c->net_slot);
}

void store_put_net_cursor(struct db_tx *tx, const struct model *model)
{
	db_tx_write(tx,
		"INSERT INTO network_cursor (id, next) VALUES (1, ?1)"
		" ON CONFLICT (id) DO UPDATE SET next=?1",
		"i", (int64_t)model->net_next_number);
}

static int load_cursor(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct model *model = arg;

	(void)err;
	model->net_next_number = (uint32_t)sqlite3_column_int64(row, 0);
	return 0;
}

static int load_network(sqlite3_stmt *row, void *arg, struct err *err)
{
	char name[NAME_SIZE];
	struct tenant *t;

	(void)err;
	db_column_text(row, 0, name, sizeof(name));
	t = model_any_tenant(arg, name);
	if (t) {
		t->net_number = (uint32_t)sqlite3_column_int64(row, 1);
		t->net_next_slot = (uint32_t)sqlite3_column_int64(row, 2);
		t->net_smtp = sqlite3_column_int(row, 3);
	}
	return 0;
}

static int load_place(sqlite3_stmt *row, void *arg, struct err *err)
{
	char tenant[NAME_SIZE];
	char name[NAME_SIZE];
	struct container *c;
	struct tenant *t;

	(void)err;
	db_column_text(row, 0, tenant, sizeof(tenant));
	db_column_text(row, 1, name, sizeof(name));
	t = model_any_tenant(arg, tenant);
	c = t ? model_any_container(t, name) : NULL;
	if (c) {
		c->net_slot = (uint32_t)sqlite3_column_int64(row, 2);
		c->no_network = !c->net_slot;
	}
	return 0;
}

static int load_forward(sqlite3_stmt *row, void *arg, struct err *err)
{
	struct net_forward ports = {0};
	char address[NET_TEXT_MAX];
	struct forward *forward;
	char tenant[NAME_SIZE];
	char name[NAME_SIZE];
	struct container *c;
	struct tenant *t;

	db_column_text(row, 0, tenant, sizeof(tenant));
	db_column_text(row, 1, name, sizeof(name));
	db_column_text(row, 2, address, sizeof(address));
	t = model_any_tenant(arg, tenant);
	c = t ? model_any_container(t, name) : NULL;
	if (!c)
		return 0;
	if (*address && net_parse_address(address, &ports.listen) == 0) {
		ports.listen.prefix = 0;
		ports.family = ports.listen.size == 4 ? 4 : 6;
	}
	ports.protocol = (uint8_t)sqlite3_column_int(row, 3);
	ports.first = (uint16_t)sqlite3_column_int(row, 4);
	ports.last = (uint16_t)sqlite3_column_int(row, 5);
	ports.to = (uint16_t)sqlite3_column_int(row, 6);
	forward = model_add_forward(c, &ports);
	if (!forward)
		return err_oom(err);
	forward->visible = true;
	return 0;
}

int store_load_networks(struct db *db, struct model *model, struct err *err)
{
	int r = db_query(db, "SELECT next FROM network_cursor", load_cursor, model, err, "");

	if (r == 0)
		r = db_query(db,
			"SELECT t.name, n.number, n.next_slot, n.smtp FROM networks n"
			" JOIN tenants t ON t.uid = n.tenant_uid",
			load_network, model, err, "");
	if (r == 0)
		r = db_query(db,
			"SELECT t.name, c.name, coalesce(p.slot, 0) FROM container_networks p"
			" JOIN containers c ON c.uid = p.container_uid"
			" JOIN tenants t ON t.uid = c.tenant_uid",
			load_place, model, err, "");
	if (r == 0)
		r = db_query(db,
			"SELECT t.name, c.name, f.address, f.protocol, f.first, f.last, f.target"
			" FROM forwards f JOIN containers c ON c.uid = f.container_uid"
			" JOIN tenants t ON t.uid = c.tenant_uid",
			load_forward, model, err, "");
	return r;
}
