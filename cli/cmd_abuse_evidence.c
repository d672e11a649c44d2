/*
 * croft abuse evidence: what there was to see when a case began. What a tenant wrote stands behind
 * a bar, line by line, and moves no cursor: it can look like nothing else on the screen.
 */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "croft/v1/abuse.pb-c.h"

#include <inttypes.h>
#include <string.h>

#define SERVICE (&croft__v1__abuse__descriptor)

static void print_safe(const char *text)
{
	/* Not even colours, nor a carriage return. */
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '\t')
			putchar(' ');
		else if (*p < ' ' || *p == 0x7f)
			printf("^%c", *p ^ 0x40);
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			putchar('?');
		else if (!(*p >= 0x80 && *p < 0xa0 && p > (const unsigned char *)text &&
				 p[-1] == 0xc2)) /* the second byte of such a C1 control */
			putchar(*p);
	}
}

static void print_processes(const Croft__V1__AbuseEvidence *e)
{
	printf("\n%10s %10s %s %12s %12s  %s\n", "PID", "PARENT", "S", "CPU, S", "RSS", "COMMAND");
	for (size_t i = 0; i < e->n_processes; i++) {
		const Croft__V1__AbuseProcess *p = e->processes[i];
		char size[LIMIT_TEXT_MAX];

		printf("%10u %10u ", p->pid, p->parent_pid);
		print_safe(p->state);
		printf(" %12.2f %12s  ", (double)p->cpu_usec / 1e6,
			size_format(p->rss_bytes, size));
		print_safe(p->command);
		putchar('\n');
	}
	if (e->processes_left_out)
		printf("and %u more\n", e->processes_left_out);
}

static void print_figures(const Croft__V1__AbuseFigures *f)
{
	char memory[LIMIT_TEXT_MAX];
	char written[LIMIT_TEXT_MAX];
	char out[LIMIT_TEXT_MAX];
	const char *name = strrchr(f->resource, '/');

	printf("\n%s\n", name ? name + 1 : f->resource);
	printf("  cpu        %.2f s, held by its limit for %.2f s\n", (double)f->cpu_usec / 1e6,
		(double)f->cpu_throttled_usec / 1e6);
	printf("  memory     %s, limit met %" PRIu64 " times, %" PRIu64 " killed\n",
		size_format(f->memory_working_set_bytes, memory), f->memory_at_limit, f->oom_kills);
	printf("  processes  %" PRIu64 ", %" PRIu64 " forks refused\n", f->pids, f->pids_denied);
	printf("  disk       %s written\n", size_format(f->io_write_bytes, written));
	printf("  network    %s in %" PRIu64 " packets sent outside\n",
		size_format(f->out_bytes, out), f->out_packets);
	printf("  waited     %.2f s for cpu, %.2f s for memory, %.2f s for disk\n",
		(double)f->cpu_stalled_usec / 1e6, (double)f->memory_stalled_usec / 1e6,
		(double)f->io_stalled_usec / 1e6);
}

/* All of it is the kernel's own words. */
static void print_peer(const Croft__V1__AbusePeer *p)
{
	char sent[LIMIT_TEXT_MAX];
	char received[LIMIT_TEXT_MAX];
	char port[16] = "";
	char who[64];

	if (p->port)
		snprintf(port, sizeof(port), "%u", p->port);
	if (p->address[0])
		snprintf(who, sizeof(who), "%.60s", p->address);
	else
		snprintf(who, sizeof(who), "%u peer%s", p->peers, p->peers == 1 ? "" : "s");
	printf("%-4s %-5.5s %5s  %-39s %11u %9s %9s\n", p->incoming ? "from" : "to", p->protocol,
		port, who, p->connections, p->sent_bytes ? size_format(p->sent_bytes, sent) : "-",
		p->received_bytes ? size_format(p->received_bytes, received) : "-");
}

static void print_connections(const Croft__V1__AbuseEvidence *e)
{
	if (!e->connections)
		return;
	printf("\n%-16s  %-39s %11s %9s %9s\n", "SERVICE", "PEER", "CONNECTIONS", "SENT",
		"RECEIVED");
	for (size_t i = 0; i < e->n_services; i++)
		print_peer(e->services[i]);
	for (size_t i = 0; i < e->n_peers; i++)
		print_peer(e->peers[i]);
	printf("%" PRIu64 " connections in all", e->connections);
	if (e->connections_left_out)
		printf(", %" PRIu64 " of them not looked at", e->connections_left_out);
	putchar('\n');
}

static int print(const Croft__V1__AbuseEvidence *e, struct err *err)
{
	static const struct column time[] = {
		{"time", "time", "time", COLUMN_TIME, NULL},
		{0},
	};
	char text[COLUMN_TEXT_MAX];

	column_fill(time, "{time}", &e->base, text);
	printf("case %" PRIu64 ", as of %s\n", e->number, text);
	for (size_t i = 0; i < e->n_figures; i++)
		print_figures(e->figures[i]);
	print_processes(e);
	print_connections(e);
	if (e->n_log_lines)
		printf("\nLAST LINES OF OUTPUT\n");
	for (size_t i = 0; i < e->n_log_lines; i++) {
		fputs("| ", stdout);
		print_safe(e->log_lines[i]);
		putchar('\n');
	}
	return output_flush(stdout, err);
}

static int evidence(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__GetAbuseEvidenceRequest request = CROFT__V1__GET_ABUSE_EVIDENCE_REQUEST__INIT;
	int r = cli_number("NUMBER", cli_arg(cli, 0), UINT64_MAX, &request.number, err);

	if (r == 0)
		r = cli_call(cli, SERVICE, "GetAbuseEvidence", &request.base, &reply, err);
	if (r < 0)
		return r;
	if (cli->format != OUTPUT_TABLE)
		return output_one(cli->format, abuse_evidence_columns, reply, stdout, err);
	return print((const void *)reply, err);
}

/* Of CSV, which has no room for lists. */
const struct column abuse_evidence_columns[] = {
	{"number", NULL, "number", COLUMN_PLAIN, NULL},
	{"time", NULL, "time", COLUMN_TIME, NULL},
	{"processes_left_out", NULL, "processes_left_out", COLUMN_PLAIN, NULL},
	{0},
};

const struct command cmd_abuse_evidence = {
	.name = "abuse evidence",
	.summary = "Print what there was to see when a case began; all of it with -o json.",
	.args = {{.name = "NUMBER"}},
	.run = evidence,
};
