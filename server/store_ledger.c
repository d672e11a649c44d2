/*
 * Statements on terms, and on what is to be closed; see store.h. Terms are taken from the rows of
 * tenants and containers in the transaction that puts those, so that they cannot differ.
 */
#include "server/store.h"

/* What holds of a container or tenant, beside the terms it has; ?2 and ?3 say when. */
#define CONTAINER_TERMS                                                                            \
	"INSERT INTO ledger_terms (tenant_uid, container_uid, boot_id, boot, wall, plan,"          \
	" account_ref, limits)"                                                                    \
	" SELECT c.tenant_uid, c.uid, host_boot_id(), ?2, ?3,"                                     \
	" t.plan, t.account_ref, c.limits FROM containers c JOIN tenants t ON t.uid = "            \
	"c.tenant_uid"                                                                             \
	" LEFT JOIN ledger_terms l ON l.key = (SELECT max(key) FROM ledger_terms"                  \
	" WHERE tenant_uid = c.tenant_uid AND container_uid = c.uid)"                              \
	" WHERE (l.key IS NULL OR l.plan <> t.plan OR l.account_ref <> t.account_ref"              \
	" OR l.limits <> c.limits)"
#define TENANT_TERMS                                                                               \
	"INSERT INTO ledger_terms (tenant_uid, container_uid, boot_id, boot, wall, plan,"          \
	" account_ref, limits)"                                                                    \
	" SELECT t.uid, '', host_boot_id(), ?2, ?3,"                                               \
	" t.plan, t.account_ref, t.limits FROM tenants t"                                          \
	" LEFT JOIN ledger_terms l ON l.key = (SELECT max(key) FROM ledger_terms"                  \
	" WHERE tenant_uid = t.uid AND container_uid = '')"                                        \
	" WHERE (l.key IS NULL OR l.plan <> t.plan OR l.account_ref <> t.account_ref"              \
	" OR l.limits <> t.limits)"

void store_put_container_terms(struct db_tx *tx, const char *container_uid)
{
	db_tx_write(tx, CONTAINER_TERMS " AND c.uid = ?1", "sui", container_uid, clock_boot_usec(),
		clock_wall_usec());
}

void store_put_tenant_terms(struct db_tx *tx, const char *tenant_uid)
{
	uint64_t boot = clock_boot_usec();
	int64_t wall = clock_wall_usec();

	db_tx_write(tx, TENANT_TERMS " AND t.uid = ?1", "sui", tenant_uid, boot, wall);
	db_tx_write(tx, CONTAINER_TERMS " AND c.tenant_uid = ?1", "sui", tenant_uid, boot, wall);
}

void store_catch_up_terms(struct db_tx *tx)
{
	uint64_t boot = clock_boot_usec();
	int64_t wall = clock_wall_usec();

	db_tx_write(tx, TENANT_TERMS " AND ?1 = ''", "sui", "", boot, wall);
	db_tx_write(tx, CONTAINER_TERMS " AND ?1 = ''", "sui", "", boot, wall);
}

void store_open_run(struct db_tx *tx, const struct run *run)
{
	/*
	 * Put again with each confirmation, and always the same. What is launched may begin before
	 * its row is put: the first terms hold from its beginning.
	 */
	db_tx_write(tx,
		"INSERT OR IGNORE INTO ledger_open (run, hour_end, window_start, boot, sequence,"
		" net_sequence, io_sequence, terms, carry) SELECT r.key, r.start_wall - "
		"r.start_wall % 3600000000 + 3600000000,"
		" r.start_wall, r.start_boot, 0, 0, 0, coalesce((SELECT max(l.key) FROM "
		"ledger_terms l"
		" WHERE l.tenant_uid = r.tenant_uid AND l.container_uid = r.container_uid"
		" AND (l.boot_id <> r.boot_id OR l.boot <= r.start_boot)),"
		" (SELECT min(l.key) FROM ledger_terms l WHERE l.tenant_uid = r.tenant_uid"
		" AND l.container_uid = r.container_uid), 0), x''"
		" FROM runs r WHERE r.key = ?1 AND r.end_wall IS NULL",
		"u", run->key);
}

void store_clock_step(struct db_tx *tx, const char *boot_id, uint64_t boot_usec, int64_t wall_usec,
	int64_t expected_usec)
{
	db_tx_write(tx,
		"INSERT INTO clock_steps (boot_id, boot, wall, wall_expected)"
		" VALUES (?1, ?2, ?3, ?4)",
		"suii", boot_id, boot_usec, wall_usec, expected_usec);
}
