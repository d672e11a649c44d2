/* resolv.conf(5), as far as it names resolvers; see resolvers.h. */
#include "server/resolvers.h"

#include "base/cleanup.h"

#include <string.h>

#define LINE_MAX_BYTES 512
#define KEYWORD	       "nameserver"

static void take_line(char *line, struct net_resolvers *ret)
{
	static const char blanks[] = " \t\r\n";
	struct net_address address;
	char *rest = NULL;
	const char *word = strtok_r(line, blanks, &rest);
	const char *value = word ? strtok_r(NULL, blanks, &rest) : NULL;

	/* One with a scope ("fe80::1%eth0") is of an interface that containers do not have. */
	if (!value || strcmp(word, KEYWORD) != 0 || net_parse_address(value, &address) < 0 ||
		net_is_loopback(&address) || ret->n == NET_RESOLVERS_MAX)
		return;
	ret->list[ret->n++] = address;
}

void resolvers_read(const char *path, struct net_resolvers *ret)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[LINE_MAX_BYTES];

	memset(ret, 0, sizeof(*ret));
	while (f && fgets(line, sizeof(line), f))
		take_line(line, ret);
}

void resolvers_read_host(struct net_resolvers *ret)
{
	resolvers_read("/etc/resolv.conf", ret);
	if (!ret->n)
		resolvers_read("/run/systemd/resolve/resolv.conf", ret);
}
