/*
 * What an importer's report says about starting and stopping; see import.h. The supervisor has
 * checked its form; what only concerns replies, that it is text, is checked here.
 */
#include "server/import.h"

#include "base/cleanup.h"
#include "server/grpc_utf8.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static uint32_t stop_signal(uint32_t init)
{
	switch (init) {
	case IMAGE_INIT_SYSTEMD:
		/* systemd(1): SIGRTMIN+3 halts the machine. */
		return (uint32_t)SIGRTMIN + 3;
	case IMAGE_INIT_BUSYBOX:
		/* busybox init: SIGUSR2 is poweroff. */
		return SIGUSR2;
	case IMAGE_INIT_SYSV:
		/* What the kernel tells an init of ctrl-alt-del, and the one signal that all of
		   them take for a way down: as a reboot, which ends a container being stopped. */
		return SIGINT;
	default:
		return SIGTERM;
	}
}

static bool list_is_text(char *const *list)
{
	for (; *list; list++)
		if (!grpc_utf8_is_valid((const uint8_t *)*list, strlen(*list)))
			return false;
	return true;
}

int import_take_app(struct image *image, int fd, struct err *err)
{
	struct image_config *app = NULL;
	int r = image_config_read(fd, &app, err);

	if (r < 0)
		return r;
	if (!list_is_text(app->argv) || !list_is_text(app->envp) ||
		!list_is_text((char *[]){(char *)app->user, (char *)app->working_dir, NULL})) {
		image_config_free(app);
		return err_set(err, ERR_INVALID_ARGUMENT, "IMAGE_INVALID",
			"the image's command or environment is not UTF-8");
	}
	image->app = app;
	return 0;
}

static void run_app(struct image *image)
{
	snprintf(image->init, sizeof(image->init), "%s", image->app->argv[0]);
	image->stop_signal = image->app->stop_signal;
}

void import_fill_image(struct image *image, const struct image_report *report, const char *init)
{
	memcpy(image->init, report->init_path, sizeof(image->init));
	image->init[sizeof(image->init) - 1] = '\0';
	image->stop_signal = stop_signal(report->init);
	/* An init that the importing names replaces whatever the image says. */
	if (init[0]) {
		image_config_free(take_ptr(image->app));
		if (strcmp(init, image->init) != 0) {
			snprintf(image->init, sizeof(image->init), "%s", init);
			image->stop_signal = SIGTERM;
		}
	}
	if (image->app)
		run_app(image);
	image->size_bytes = report->bytes;
	image->entries = report->entries;
	image->skipped_devices = report->skipped_devices;
	image->created_wall_usec = clock_wall_usec();
}
