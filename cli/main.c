/* The croft command. Everything it does is in the library beside it, where tests can reach it. */
#include "cli/cli.h"

#include <fcntl.h>
#include <unistd.h>

/*
 * With one of 0 to 2 closed, the connection would become standard input or output. What is put
 * there is open the wrong way round, so that using it fails, as it would have.
 */
static int open_standard_fds(void)
{
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		int mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode) != fd)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (open_standard_fds() < 0)
		return CLI_REFUSED;
	return cli_run(argc, argv);
}
