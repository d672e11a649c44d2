/*
 * Imports on the real kernel: what arrives on disk, what is refused, and that nothing gets out.
 * The hostile archives come from ../hostile_tars.py. Runs in a mount namespace of its own.
 */
#include "tests/unit/unit.h"

#include "base/fd.h"
#include "sandbox/idrange.h"
#include "sandbox/image_import.h"
#include "sandbox/pool.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* The last range: the registry hands out the others first. */
#define ID_BASE (IDRANGE_FIRST + (IDRANGE_COUNT - 1) * IDRANGE_SIZE)

struct fixture {
	char dir[64];
	struct pool_config config;
	struct pool *pool;
	int importer;
	int target;
	int app; /* the config of an application image */
	const char *reference;
	struct image_limits limits;
	struct image_report report;
	unsigned reports; /* progress */
	struct err err;
};

/* As hostile_tars.py has it. */
static const struct image_limits hostile_limits = {32u << 20, 5000, 20};

static int open_program(const char *variable)
{
	const char *path = getenv(variable);

	return path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	strcpy(f->dir, "/tmp/croft-test-import-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->config.state_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->config.size_bytes = 1ull << 30;
	f->limits = (struct image_limits){1ull << 30, 100000, 20};
	f->target = f->app = -1;
	f->importer = open_program("CROFT_IMPORTER");
	if (f->importer < 0 || pool_attach(&f->config, &f->pool, &f->err) < 0) {
		print_error("set up: %s\n", f->err.msg);
		return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	int r;

	close_fd(&f->target);
	close_fd(&f->app);
	close(f->importer);
	pool_close(f->pool);
	r = pool_detach(&f->config, &f->err);
	if (r < 0)
		print_error("detach: %s\n", f->err.msg);
	close(f->config.state_fd);
	snprintf(command, sizeof(command), "rm -rf --one-file-system %s", f->dir);
	if (r == 0)
		r = system(command);
	free(f);
	return r;
}

static void count(const struct image_report *report, void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(report->final, 0);
	f->reports++;
}

/* Imports into a fresh target, which stays open. */
static int import(struct fixture *f, int archive)
{
	struct image_import request = {
		.importer_fd = f->importer,
		.archive_fd = archive,
		.id_base = ID_BASE,
		.limits = f->limits,
		.init = "",
		.reference = f->reference ? f->reference : "",
		.progress = count,
		.progress_arg = f,
	};
	struct err err = {0};

	close_fd(&f->target);
	close_fd(&f->app);
	memset(&f->report, 0, sizeof(f->report));
	memset(&f->err, 0, sizeof(f->err));
	if (pool_image_begin(f->pool, "test", &f->target, &err) < 0)
		fail_msg("begin: %s", err.msg);
	request.target_fd = f->target;
	return image_import_run(&request, &f->report, &f->app, &f->err);
}

static int import_file(struct fixture *f, const char *path)
{
	_cleanup_close_ int archive = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(archive >= 0);
	return import(f, archive);
}

/* Runs a shell command in the fixture's directory; what it leaves as a.tar is imported. */
static void import_made(struct fixture *f, const char *script)
{
	char *command;
	char path[96];

	assert_true(asprintf(&command, "cd %s && { %s; }", f->dir, script) > 0);
	assert_int_equal(system(command), 0);
	free(command);
	snprintf(path, sizeof(path), "%s/a.tar", f->dir);
	if (import_file(f, path) < 0)
		fail_msg("import: %s: %s", f->err.reason, f->err.msg);
}

static struct stat stat_of(struct fixture *f, const char *path)
{
	struct stat st;

	if (fstatat(f->target, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		fail_msg("%s: %s", path, strerror(errno));
	return st;
}

static void assert_text(struct fixture *f, const char *path, const char *expected)
{
	char text[64];

	assert_true(fd_read_text_at(f->target, path, text, sizeof(text)) >= 0);
	assert_string_equal(text, expected);
}

static void files_keep_what_they_are(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	import_made(f,
		"mkdir t && cd t && mkdir -m 1777 tmp && echo hi > file && chmod 640 file && "
		"touch -d 2001-02-03T04:05:06.789Z file && cp file suid && chown 1000:65535 suid "
		"&& "
		"chmod 6755 suid && ln -s /usr/lib lib && ln file hard && mkfifo -m 600 fifo && "
		"truncate -s 100M sparse && echo end | dd of=sparse conv=notrunc bs=1 "
		"seek=50000000 2>/dev/null && mkdir -m 700 dir && touch dir/x && "
		"touch -d 1999-01-01T00:00:00Z dir && mknod null c 1 3 && "
		"tar --sparse --format=pax -cf ../a.tar .");
	st = stat_of(f, "file");
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_mtim.tv_sec, 981173106);
	assert_int_equal(st.st_mtim.tv_nsec, 789000000);
	assert_int_equal(stat_of(f, "hard").st_ino, st.st_ino);
	st = stat_of(f, "suid");
	assert_int_equal(st.st_mode, S_IFREG | 06755);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_gid, 65535);
	assert_int_equal(stat_of(f, "tmp").st_mode, S_IFDIR | 01777);
	assert_int_equal(stat_of(f, "fifo").st_mode, S_IFIFO | 0600);
	assert_true(S_ISLNK(stat_of(f, "lib").st_mode));
	st = stat_of(f, "dir");
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	assert_int_equal(st.st_mtim.tv_sec, 915148800);
	st = stat_of(f, "sparse");
	assert_int_equal(st.st_size, 100 << 20);
	assert_true(st.st_blocks * 512 < 1 << 20);
	assert_int_equal(faccessat(f->target, "null", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	assert_int_equal(f->report.skipped_devices, 1);
	assert_int_equal(f->report.entries, 11);
	assert_true(f->report.bytes >= 15 && f->report.bytes < 1 << 20);
	assert_int_equal(f->report.init, IMAGE_INIT_NONE);
	assert_string_equal(f->report.init_path, "");
}

static ssize_t xattr_of(
	struct fixture *f, const char *path, const char *name, void *value, size_t size)
{
	_cleanup_close_ int fd = openat(f->target, path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fgetxattr(fd, name, value, size) < 0 ? -errno : fgetxattr(fd, name, value, size);
}

static void attributes_are_kept_or_dropped(void **state)
{
	struct fixture *f = *state;
	uint8_t value[64];

	import_made(f, "mkdir -p t/log && cd t && touch ping both && "
		       "python3 -c \"import os; os.setxattr('ping','user.note',b'hello'); "
		       "os.setxattr('ping','trusted.secret',b'x'); "
		       "os.setxattr('ping','security.capability',bytes.fromhex("
		       "'0100000200200000000000000000000000000000'))\" && "
		       "setfacl -m u:4242:rwx,g:65535:r both && setfacl -d -m g:4243:rx log && "
		       "tar --xattrs --xattrs-include='*' --acls --numeric-owner --format=pax "
		       "-cf ../a.tar .");
	assert_int_equal(xattr_of(f, "ping", "user.note", value, sizeof(value)), 5);
	assert_memory_equal(value, "hello", 5);
	assert_int_equal(xattr_of(f, "ping", "trusted.secret", value, sizeof(value)), -ENODATA);
	/* Tied to the range's root, which is 0 on disk. */
	assert_int_equal(xattr_of(f, "ping", "security.capability", value, sizeof(value)), 20);
	assert_int_equal(value[5], 0x20);
	assert_int_equal(
		xattr_of(f, "both", "system.posix_acl_access", value, sizeof(value)), 4 + 6 * 8);
	assert_int_equal(*(uint32_t *)(value + 4 + 8 + 4), 4242);
	assert_int_equal(
		xattr_of(f, "log", "system.posix_acl_default", value, sizeof(value)), 4 + 5 * 8);
}

static void every_compression_is_read(void **state)
{
	static const char *const commands[] = {"cat", "gzip", "xz", "zstd -q"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		char script[160];

		snprintf(script, sizeof(script),
			"mkdir -p t && echo hello > t/file && tar -C t -c . | %s > a.tar",
			commands[i]);
		import_made(f, script);
		assert_text(f, "file", "hello");
	}
}

static void entries_below_linked_directories_land_there(void **state)
{
	struct fixture *f = *state;

	import_made(f, "mkdir -p t/usr/lib t/run && ln -s usr/lib t/lib && mkdir t/var && "
		       "ln -s ../run t/var/run && ln -s /run t/abs && echo x > x && "
		       "tar -C t -cf a.tar . && tar --transform s:x:lib/a: -rf a.tar x && "
		       "tar --transform s:x:var/run/b: -rf a.tar x && tar --transform s:x:abs/c: "
		       "-rf a.tar x");
	assert_text(f, "usr/lib/a", "x");
	assert_text(f, "run/b", "x");
	assert_text(f, "run/c", "x");
	assert_true(S_ISLNK(stat_of(f, "lib").st_mode));
}

static void inits_are_told_apart(void **state)
{
	static const struct {
		const char *script;
		enum image_init init;
		const char *path;
	} cases[] = {
		{"mkdir -p sbin usr/lib/systemd && echo > usr/lib/systemd/systemd && chmod +x "
		 "usr/lib/systemd/systemd && ln -s usr/lib lib && "
		 "ln -s /lib/systemd/systemd sbin/init",
			IMAGE_INIT_SYSTEMD, "/sbin/init"},
		{"mkdir -p usr/lib/systemd && echo > usr/lib/systemd/systemd && chmod +x "
		 "usr/lib/systemd/systemd",
			IMAGE_INIT_SYSTEMD, "/usr/lib/systemd/systemd"},
		{"mkdir bin sbin && echo > bin/busybox && chmod +x bin/busybox && "
		 "ln -s ../bin/busybox sbin/init",
			IMAGE_INIT_BUSYBOX, "/sbin/init"},
		{"mkdir -p bin usr/sbin && ln -s usr/sbin sbin && echo > usr/sbin/init && "
		 "chmod +x sbin/init && echo > bin/busybox",
			IMAGE_INIT_SYSV, "/sbin/init"},
		{"echo > init && chmod +x init", IMAGE_INIT_SYSV, "/init"},
		{"mkdir sbin && echo > sbin/init", IMAGE_INIT_NONE, ""}, /* not executable */
		{"mkdir -p sbin/init", IMAGE_INIT_NONE, ""},
		/* The host has one there. */
		{"mkdir sbin && ln -s ../../../../../../bin/sh sbin/init", IMAGE_INIT_NONE, ""},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char script[512];

		snprintf(script, sizeof(script),
			"rm -rf t && mkdir t && cd t && %s && tar -cf ../a.tar .", cases[i].script);
		import_made(f, script);
		assert_int_equal(f->report.init, cases[i].init);
		assert_string_equal(f->report.init_path, cases[i].path);
	}
}

static void assert_nothing_escaped(void)
{
	static const char *const escapes[] = {
		"/tmp/croft-escape", "/croft-escape", "/var/tmp/croft-escape"};

	for (size_t i = 0; i < ARRAY_SIZE(escapes); i++)
		assert_int_equal(faccessat(AT_FDCWD, escapes[i], F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static void assert_absent(struct fixture *f, const char *path)
{
	assert_int_equal(faccessat(f->target, path, F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static unsigned run_hostile(struct fixture *f, const char *name, const char *expected)
{
	char path[192];
	int r;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	r = import_file(f, path);
	assert_nothing_escaped();
	if (r < 0 && f->err.code == ERR_OK)
		fail_msg("%s: %d without a reason", name, r);
	if (strcmp(r < 0 ? f->err.reason : "ok", expected)) {
		print_error("%s: expected %s, not %s: %s\n", name, expected,
			r < 0 ? f->err.reason : "ok", f->err.msg);
		return 1;
	}
	if (strstr(f->err.msg, f->dir))
		fail_msg("%s: names a path of the host: %s", name, f->err.msg);
	return 0;
}

static void hostile_archives_are_refused_or_harmless(void **state)
{
	struct fixture *f = *state;
	char command[512];
	char name[64];
	char expected[32];
	unsigned failed = 0;
	unsigned n = 0;
	FILE *list;

	f->limits = hostile_limits;
	snprintf(command, sizeof(command), "python3 %s %s", getenv("CROFT_HOSTILE_TARS"), f->dir);
	list = popen(command, "r");
	assert_non_null(list);
	while (fscanf(list, "%63s %31s", name, expected) == 2) {
		failed += run_hostile(f, name, expected);
		n++;
	}
	assert_int_equal(pclose(list), 0);
	assert_true(n > 120);
	assert_int_equal(failed, 0);
}

static void hostile_links_stay_inside(void **state)
{
	struct fixture *f = *state;
	char command[512];

	f->limits = hostile_limits;
	snprintf(command, sizeof(command), "python3 %s %s >/dev/null", getenv("CROFT_HOSTILE_TARS"),
		f->dir);
	assert_int_equal(system(command), 0);
	run_hostile(f, "symlink_two_hops.tar", "ok");
	assert_text(f, "tmp/croft-escape", "x");
	run_hostile(f, "symlink_then_file_of_its_name.tar", "ok");
	assert_true(S_ISREG(stat_of(f, "f").st_mode));
	run_hostile(f, "hardlink_to_a_symlink_then_written.tar", "ok");
	assert_true(S_ISREG(stat_of(f, "h").st_mode));
	assert_true(S_ISLNK(stat_of(f, "s").st_mode));
	run_hostile(f, "devices.tar", "ok");
	assert_int_equal(f->report.skipped_devices, 4);
	assert_int_equal(faccessat(f->target, "whiteout", F_OK, AT_SYMLINK_NOFOLLOW), -1);
	run_hostile(f, "duplicates.tar", "ok");
	assert_text(f, "f", "third");
	assert_text(f, "d/x", "x");
	assert_text(f, "e", "file");
	run_hostile(f, "overlay_attributes.tar", "ok");
	assert_int_equal(xattr_of(f, "d", "user.kept", command, sizeof(command)), 3);
	assert_int_equal(
		xattr_of(f, "d", "user.overlay.redirect", command, sizeof(command)), -ENODATA);
	assert_int_equal(
		xattr_of(f, "d", "trusted.overlay.opaque", command, sizeof(command)), -ENODATA);
	assert_int_equal(stat_of(f, ".wh.file").st_size, 0);
	run_hostile(f, "foreign_capability.tar", "ok");
	assert_int_equal(
		xattr_of(f, "f", "security.capability", command, sizeof(command)), -ENODATA);
}

static void hostile_layers_stay_inside(void **state)
{
	static const char *const gone[] = {"f", "d/x"};
	struct fixture *f = *state;
	char command[512];

	f->limits = hostile_limits;
	snprintf(command, sizeof(command), "python3 %s %s >/dev/null", getenv("CROFT_HOSTILE_TARS"),
		f->dir);
	assert_int_equal(system(command), 0);
	run_hostile(f, "image_link_below_and_file_through_it.tar", "ok");
	assert_text(f, "tmp/croft-escape", "x");
	run_hostile(f, "image_whiteout_through_a_link.tar", "ok");
	assert_absent(f, "tmp/x");
	run_hostile(f, "image_whiteout_of_a_deep_tree.tar", "ok");
	assert_absent(f, "d");
	run_hostile(f, "image_whiteouts_hide_lower_layers_only.tar", "ok");
	assert_absent(f, "d/old");
	assert_absent(f, "gone");
	assert_absent(f, ".wh.gone");
	assert_text(f, "d/new", "2");
	assert_text(f, "f", "2");
	run_hostile(f, "image_opaque_root.tar", "ok");
	for (size_t i = 0; i < ARRAY_SIZE(gone); i++)
		assert_absent(f, gone[i]);
	assert_text(f, "new", "x");
	run_hostile(f, "image_hard_link_to_a_lower_layer.tar", "ok");
	assert_text(f, "a", "upper");
	assert_text(f, "b", "lower");
	run_hostile(f, "image_directories_and_files_swap.tar", "ok");
	assert_text(f, "f/y", "through the link");
	run_hostile(f, "image_layers_of_nothing.tar", "ok");
	assert_text(f, "etc/hostname", "croft");
	run_hostile(f, "image_lxd_unified.tar", "ok");
	assert_int_equal(stat_of(f, ".").st_mode, S_IFDIR | 0750);
	assert_int_equal(stat_of(f, "etc/hostname").st_nlink, 2);
	assert_absent(f, "metadata.yaml");
	assert_absent(f, "templates");
	run_hostile(f, "image_lxd_split.tar", "ok");
	assert_text(f, "etc/hostname", "croft");
}

static void ids_on_disk_are_within_an_image(void **state)
{
	struct fixture *f = *state;

	import_made(f, "mkdir t && touch t/a t/b && chown 65535:0 t/a && tar -C t -cf a.tar .");
	assert_int_equal(stat_of(f, "a").st_uid, 65535);
	assert_int_equal(stat_of(f, "b").st_uid, 0);
}

static void progress_is_reported(void **state)
{
	struct fixture *f = *state;
	char command[256];
	FILE *archive;

	/* A second and a half of data, dribbled. */
	snprintf(command, sizeof(command),
		"cd %s && mkdir t && head -c 8M /dev/zero > t/f && tar -C t -cf a.tar . && "
		"{ for i in 1 2 3 4 5 6; do head -c 1500000; sleep 0.25; done; } < a.tar",
		f->dir);
	archive = popen(command, "r");
	assert_non_null(archive);
	assert_int_equal(import(f, fileno(archive)), 0);
	pclose(archive);
	assert_in_range(f->reports, 3, 12);
}

static void stalled_archive_ends_the_import(void **state)
{
	struct fixture *f = *state;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	f->limits.seconds = 1;
	assert_int_equal(import(f, fds[0]), -ETIMEDOUT);
	assert_string_equal(f->err.reason, "IMPORT_STALLED");
	close(fds[0]);
	close(fds[1]);
}

static void ask_probe(struct fixture *f, uint64_t question, int expected)
{
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int real = f->importer;

	f->importer = open_program("CROFT_IMPORTER_PROBE");
	assert_true(f->importer >= 0);
	f->limits.entries = question;
	assert_int_equal(fchmod(null, 0666), 0);
	if (import(f, null) != expected)
		fail_msg("question %d: %s", (int)question, f->err.msg);
	close(f->importer);
	f->importer = real;
}

static void importer_starts_with_nothing_but_its_own(void **state)
{
	_cleanup_close_ int leak = open("/etc/passwd", O_RDONLY); /* not close-on-exec: a slip */

	assert_true(leak >= 0);
	ask_probe(*state, 1, 0);
}

static void jailed_importer_can_only_unpack(void **state)
{
	ask_probe(*state, 2, 0);
}

static void lying_importer_is_not_believed(void **state)
{
	struct fixture *f = *state;

	ask_probe(f, 3, -EBADMSG);
	ask_probe(f, 4, -EIO);
	assert_string_equal(f->err.reason, "IMPORTER_DIED");
	ask_probe(f, 5, -EBADMSG);
	ask_probe(f, 6, -EBADMSG);
	ask_probe(f, 7, -EBADMSG);
	assert_string_equal(f->err.reason, "IMAGE_CONFIG_INVALID");
	assert_int_equal(f->app, -1);
}

static void program_that_is_none_is_reported(void **state)
{
	struct fixture *f = *state;
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int real = f->importer;

	f->importer = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
	assert_true(import(f, null) < 0);
	assert_non_null(strstr(f->err.msg, "start croft-importer"));
	close(f->importer);
	f->importer = real;
}

#define with_pool(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_pool(files_keep_what_they_are),
		with_pool(attributes_are_kept_or_dropped),
		with_pool(every_compression_is_read),
		with_pool(entries_below_linked_directories_land_there),
		with_pool(inits_are_told_apart),
		with_pool(hostile_archives_are_refused_or_harmless),
		with_pool(hostile_links_stay_inside),
		with_pool(hostile_layers_stay_inside),
		with_pool(ids_on_disk_are_within_an_image),
		with_pool(progress_is_reported),
		with_pool(stalled_archive_ends_the_import),
		with_pool(importer_starts_with_nothing_but_its_own),
		with_pool(jailed_importer_can_only_unpack),
		with_pool(lying_importer_is_not_believed),
		with_pool(program_that_is_none_is_reported),
	};

	if (geteuid() != 0) {
		print_message("1..0 # SKIP an import needs root\n");
		return 0;
	}
	/* What is mounted here dies with this process. */
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		print_error("cannot make a mount namespace\n");
		return 1;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
