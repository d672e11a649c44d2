/* croftd: the command line, the root part, the service. Must stay this thin. */
#include "base/log.h"
#include "server/server.h"
#include "server/service.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	static struct config config;
	enum config_action action;
	struct startup startup;
	struct err err;
	int status;

	log_init("croftd");
	if (config_parse(&config, argc, argv, &action, &err) < 0) {
		fprintf(stderr, "croftd: %s\ncroftd --help lists the settings\n", err.msg);
		return 2;
	}
	if (action != CONFIG_RUN) {
		fputs(action == CONFIG_HELP ? config_usage() : "croftd " CROFT_VERSION "\n",
			stdout);
		return 0;
	}
	if (config.log_level[0])
		setenv("CROFT_LOG", config.log_level, 1);
	log_init("croftd");
	if (startup_prepare(&config, &startup, &err) < 0) {
		log_error("%s", err.msg);
		return 1;
	}
	status = service_run(&config, &startup);
	startup_finish(&startup);
	return status;
}
