/* croft forward ...: ports of the host that lead to a container. */
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/commands.h"
#include "cli/list.h"
#include "cli/usage.h"
#include "croft/v1/networks.pb-c.h"

#include <errno.h>
#include <string.h>

#define SERVICE	     (&croft__v1__networks__descriptor)
#define ADDRESS_SIZE 64

static const char *port_text(
	const ProtobufCMessage *m, bool human, char buf[static COLUMN_TEXT_MAX])
{
	const Croft__V1__Forward *f = (const void *)m;

	(void)human;
	if (f->last_port == f->first_port)
		snprintf(buf, COLUMN_TEXT_MAX, "%u", f->first_port);
	else
		snprintf(buf, COLUMN_TEXT_MAX, "%u-%u", f->first_port, f->last_port);
	return buf;
}

const struct column forward_columns[] = {
	{"container", "CONTAINER", "container", COLUMN_RESOURCE, NULL},
	{"address", "ADDRESS", "address", COLUMN_PLAIN, NULL},
	{"protocol", "PROTOCOL", "protocol", COLUMN_PLAIN, NULL},
	{"ports", "PORTS", .kind = COLUMN_CUSTOM, .text = port_text},
	{"target_port", "TO PORT", "target_port", COLUMN_PLAIN, NULL},
	{0},
};

/* "[ADDR:]PORT[-PORT][/tcp|/udp]"; an IPv6 address stands in brackets. */
struct ports {
	char address[ADDRESS_SIZE];
	Croft__V1__Forward__Protocol protocol;
	uint32_t first;
	uint32_t last;
};

static int bad_ports(const char *text, struct err *err)
{
	return usage_error(
		err, "\"%.80s\" is not of the form [ADDRESS:]PORT[-PORT][/tcp|/udp]", text);
}

static int read_port(const char *text, size_t len, uint32_t *ret)
{
	uint32_t port = 0;

	if (len < 1 || len > 5 || strspn(text, "0123456789") < len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		port = port * 10 + (uint32_t)(text[i] - '0');
	*ret = port;
	return port >= 1 && port <= 65535 ? 0 : -EINVAL;
}

static int read_protocol(const char *text, struct ports *ret)
{
	if (!*text || !strcmp(text, "/tcp"))
		ret->protocol = CROFT__V1__FORWARD__PROTOCOL__TCP;
	else if (!strcmp(text, "/udp"))
		ret->protocol = CROFT__V1__FORWARD__PROTOCOL__UDP;
	else
		return -EINVAL;
	return 0;
}

/* Moves *text behind the address, if there is one. */
static int read_address(const char **text, struct ports *ret)
{
	const char *start = *text;
	const char *colon = strrchr(start, ':');
	size_t len;

	if (!colon)
		return 0;
	*text = colon + 1;
	len = (size_t)(colon - start);
	if (len > 1 && start[0] == '[' && start[len - 1] == ']') {
		start++;
		len -= 2;
	} else if (memchr(start, ':', len)) {
		return -EINVAL;
	}
	if (len < 1 || len >= sizeof(ret->address))
		return -EINVAL;
	memcpy(ret->address, start, len);
	ret->address[len] = '\0';
	return 0;
}

static int read_ports(const char *text, struct ports *ret, struct err *err)
{
	const char *at = text;
	size_t digits;

	memset(ret, 0, sizeof(*ret));
	if (read_address(&at, ret) < 0)
		return bad_ports(text, err);
	digits = strspn(at, "0123456789");
	if (read_port(at, digits, &ret->first) < 0)
		return bad_ports(text, err);
	at += digits;
	ret->last = ret->first;
	if (*at == '-') {
		digits = strspn(++at, "0123456789");
		if (read_port(at, digits, &ret->last) < 0 || ret->last < ret->first)
			return bad_ports(text, err);
		at += digits;
	}
	return read_protocol(at, ret) < 0 ? bad_ports(text, err) : 0;
}

static int add(struct cli *cli, struct err *err)
{
	_cleanup_message_ ProtobufCMessage *reply = NULL;
	Croft__V1__AddForwardRequest request = CROFT__V1__ADD_FORWARD_REQUEST__INIT;
	Croft__V1__Forward forward = CROFT__V1__FORWARD__INIT;
	char container[RESOURCE_SIZE];
	struct ports ports;
	uint64_t target = 0;
	int r = cli_container_name(cli_arg(cli, 0), container, err);

	if (r == 0)
		r = read_ports(cli_arg(cli, 1), &ports, err);
	if (r == 0)
		r = cli_number("the container's port", cli_arg(cli, 2), 65535, &target, err);
	if (r < 0)
		return r;
	forward.container = container;
	forward.address = ports.address;
	forward.protocol = ports.protocol;
	forward.first_port = ports.first;
	forward.last_port = ports.last;
	forward.target_port = (uint32_t)target;
	request.forward = &forward;
	r = cli_call(cli, SERVICE, "AddForward", &request.base, &reply, err);
	return r < 0 ? r
		     : cli_report(cli, forward_columns, reply, err, "%s leads to %s, port %s",
			       cli_arg(cli, 1), cli_arg(cli, 0), cli_arg(cli, 2));
}

static int delete (struct cli *cli, struct err *err)
{
	Croft__V1__DeleteForwardRequest request = CROFT__V1__DELETE_FORWARD_REQUEST__INIT;
	char container[RESOURCE_SIZE];
	struct ports ports;
	int r = cli_container_name(cli_arg(cli, 0), container, err);

	if (r == 0)
		r = read_ports(cli_arg(cli, 1), &ports, err);
	if (r < 0)
		return r;
	request.container = container;
	request.address = ports.address;
	request.protocol = ports.protocol;
	request.first_port = ports.first;
	r = cli_call_only(cli, SERVICE, "DeleteForward", &request.base, err);
	return r < 0 ? r
		     : cli_report(cli, NULL, NULL, err, "%s leads no more to %s", cli_arg(cli, 1),
			       cli_arg(cli, 0));
}

/* Adds every forward of a tenant. */
static int list_tenant(struct cli *cli, const char *tenant, struct output *output, struct err *err)
{
	Croft__V1__ListForwardsRequest request = CROFT__V1__LIST_FORWARDS_REQUEST__INIT;

	request.parent = (char *)tenant;
	return list_add(cli, SERVICE, "ListForwards", &request.base, output, err);
}

static int list(struct cli *cli, struct err *err)
{
	return list_print_tenants(cli, forward_columns, list_tenant, err);
}

const struct command cmd_forward_add = {
	.name = "forward add",
	.summary = "Let a port of the host lead to a container: [ADDR:]PORT[-PORT][/tcp|/udp].",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}, {.name = "[ADDR:]PORT"},
		{.name = "TO-PORT"}},
	.run = add,
};

const struct command cmd_forward_list = {
	.name = "forward list",
	.summary = "List the forwards, of one tenant or of all.",
	.args = {{.name = "TENANT", .kind = WORD_TENANT, .optional = true}},
	.run = list,
};

const struct command cmd_forward_delete = {
	.name = "forward delete",
	.summary = "Take a forward away: [ADDR:]PORT[/tcp|/udp], with its first port.",
	.args = {{.name = "TENANT/NAME", .kind = WORD_CONTAINER}, {.name = "[ADDR:]PORT"}},
	.run = delete,
};
