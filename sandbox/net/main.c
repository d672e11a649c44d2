/*
 * croft-net: reads rows of numbers from standard input (net_rules.h), makes the kernel's packet
 * filter what they say, answers on standard output, and ends. It fences itself in first, and must
 * never open a file or read anything else.
 */
#include "base/cleanup.h"
#include "base/fd.h"
#include "sandbox/net/apply.h"
#include "sandbox/net/lockdown.h"
#include "sandbox/net/text.h"

#define SIZE_MAX_BYTES (sizeof(struct net_header) + (size_t)NET_ROWS_MAX * sizeof(struct net_row))

static void cleanup_counted(struct net_usage_table **table)
{
	net_usage_destroy(*table);
}

static int read_input(void **ret_data, size_t *ret_size, struct err *err)
{
	_cleanup_free_ uint8_t *data = malloc(SIZE_MAX_BYTES + 1);
	ssize_t n;

	if (!data)
		return err_oom(err);
	n = fd_read_full(STDIN_FILENO, data, SIZE_MAX_BYTES + 1);
	if (n < 0)
		return err_sys(err, (int)n, "read the rules for the network");
	*ret_data = take_ptr(data);
	*ret_size = (size_t)n;
	return 0;
}

static int run(struct err *err)
{
	_cleanup_(cleanup_counted) struct net_usage_table *counted = NULL;
	_cleanup_free_ void *data = NULL;
	_cleanup_free_ char *text = NULL;
	struct net_rules rules;
	size_t size = 0;
	int r = lockdown_privileges(err);

	if (r == 0)
		r = lockdown_syscalls(err);
	if (r == 0)
		r = read_input(&data, &size, err);
	if (r == 0)
		r = net_rules_parse(data, size, &rules, err);
	if (r < 0)
		return r;
	if (rules.header.op == NET_REPLACE)
		r = net_usage_read(&rules.header.plan, &counted, err);
	if (r == 0)
		r = text_build(&rules, counted, &text, err);
	return r < 0 ? r : apply_text(text, err);
}

int main(int argc, char **argv)
{
	struct net_result result = {.magic = NET_RULES_MAGIC, .version = NET_RULES_VERSION};

	(void)argv;
	if (argc != 1 || isatty(STDIN_FILENO)) {
		fputs("croft-net is started by the supervisor only\n", stderr);
		return 2;
	}
	run(&result.err);
	if (fd_write_full(STDOUT_FILENO, &result, sizeof(result)) < 0)
		_exit(1);
	_exit(0);
}
