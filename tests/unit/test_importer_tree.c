/*
 * Names below the tree being unpacked: whatever links lie on the way, nothing outside is reached.
 * The tree is a directory beside a secret, and no chroot: openat2 alone must hold.
 */
#include "tests/unit/unit.h"

#include "base/fd.h"
#include "sandbox/importer/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct fixture {
	char dir[64];
	int outer_fd;
	struct tree tree;
	struct err err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int root;

	*state = f;
	strcpy(f->dir, "/tmp/croft-test-tree-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	f->outer_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd_replace_file_at(f->outer_fd, "secret", "x", 1, false) < 0 ||
		mkdirat(f->outer_fd, "root", 0755) < 0)
		return -1;
	root = openat(f->outer_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	tree_init(&f->tree, root);
	return root < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];
	int r;

	tree_finish(&f->tree);
	close(f->tree.root_fd);
	close(f->outer_fd);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	r = system(command);
	free(f);
	return r;
}

static void link_at(struct fixture *f, const char *target, const char *name)
{
	assert_int_equal(symlinkat(target, f->tree.root_fd, name), 0);
}

static void links_never_lead_out(void **state)
{
	static const char *const attacks[] = {"up/secret", "deep/secret", "absolute/secret",
		"two/secret", "three/secret", "mixed/secret", "secret-itself"};
	struct fixture *f = *state;
	char absolute[96];

	snprintf(absolute, sizeof(absolute), "%s", f->dir);
	link_at(f, "..", "up");
	link_at(f, "../../../../../../../../..", "deep");
	link_at(f, absolute, "absolute");
	link_at(f, "up/..", "two");
	link_at(f, "two/../up", "three");
	link_at(f, "/up/../absolute", "mixed");
	link_at(f, "../secret", "secret-itself");
	for (size_t i = 0; i < ARRAY_SIZE(attacks); i++)
		assert_int_equal(tree_open(&f->tree, attacks[i], O_PATH), -ENOENT);
	assert_int_equal(tree_open(&f->tree, "/proc/self/exe", O_PATH), -ENOENT);
	/* The control: without RESOLVE_IN_ROOT the first of them does lead out. */
	assert_int_equal(faccessat(f->tree.root_fd, attacks[0], F_OK, 0), 0);
}

static void make_file(struct fixture *f, const char *path)
{
	_cleanup_close_ int fd = -1;
	const char *name;
	int parent;

	assert_int_equal(tree_parent(&f->tree, path, &parent, &name, &f->err), 0);
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
}

static void parents_are_made_inside(void **state)
{
	struct fixture *f = *state;

	link_at(f, "/made/../here", "abs");
	assert_int_equal(mkdirat(f->tree.root_fd, "here", 0755), 0);
	assert_int_equal(mkdirat(f->tree.root_fd, "made", 0755), 0);
	make_file(f, "a/b/c/file");
	assert_int_equal(f->tree.made, 3);
	make_file(f, "a/b/c/other");
	make_file(f, "a/b/d/file");
	assert_int_equal(f->tree.made, 4);
	make_file(f, "abs/sub/file");
	assert_int_equal(faccessat(f->outer_fd, "root/here/sub/file", F_OK, 0), 0);
	link_at(f, "../../../new", "out");
	assert_int_equal(mkdirat(f->tree.root_fd, "new", 0755), 0);
	make_file(f, "out/file");
	assert_int_equal(faccessat(f->outer_fd, "root/new/file", F_OK, 0), 0);
	assert_int_equal(faccessat(f->outer_fd, "new", F_OK, 0), -1);
}

static void what_is_no_directory_is_refused(void **state)
{
	static const char *const paths[] = {
		"file/x", "file/a/x", "dangling/x", "loop/x", "loop/a/x"};
	struct fixture *f = *state;
	const char *name;
	int parent;

	make_file(f, "file");
	link_at(f, "nowhere", "dangling");
	link_at(f, "loop", "loop");
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(tree_parent(&f->tree, paths[i], &parent, &name, &f->err), -EINVAL);
		assert_string_equal(f->err.reason, "IMAGE_INVALID");
	}
}

static void clearing_removes_the_name_not_its_target(void **state)
{
	struct fixture *f = *state;
	int root = f->tree.root_fd;

	make_file(f, "dir/file");
	link_at(f, "dir", "link");
	assert_int_equal(tree_clear(root, "nothing", false, &f->err), 0);
	assert_int_equal(tree_clear(root, "link", false, &f->err), 0);
	assert_int_equal(faccessat(root, "dir/file", F_OK, 0), 0);
	assert_int_equal(tree_clear(root, "dir", false, &f->err), -EINVAL);
	assert_string_equal(f->err.reason, "IMAGE_INVALID");
	assert_int_equal(mkdirat(root, "empty", 0), 0);
	assert_int_equal(tree_clear(root, "empty", false, &f->err), 0);
	assert_int_equal(faccessat(root, "empty", F_OK, 0), -1);
}

#define with_tree(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_tree(links_never_lead_out),
		with_tree(parents_are_made_inside),
		with_tree(what_is_no_directory_is_refused),
		with_tree(clearing_removes_the_name_not_its_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
