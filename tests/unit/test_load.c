#include "../support/support.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/host/host.h"

#define APPS BUILD_DIR "/apps/"

static struct ag_app *app;
static char error[1024];

static void begin(void)
{
	app = app_new("main", "/", NULL);
	cr_assert(app);
}

static void end(void)
{
	app_free(app);
	support_check_leaks();
}

TestSuite(load, .init = begin, .fini = end);

static bool found(const char *method, const char *path)
{
	struct block_pool pool = { 0 };
	struct arena arena;
	struct match match;

	arena_init(&arena, &pool, 65536);
	route_find(app, method, path, &arena, &match);
	arena_free(&arena);
	block_pool_free(&pool);
	return match.handler;
}

/* A file of our own in a new directory; returns its path. */
static const char *make_file(const char *name, mode_t mode)
{
	static char path[256];
	char directory[] = "/tmp/anygate-load-XXXXXX";

	cr_assert(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/%s", directory, name);

	FILE *file = fopen(path, "w");

	cr_assert(file);
	fprintf(file, "%4096s", "not a shared object\n");
	fclose(file);
	cr_assert_eq(chmod(path, mode), 0);
	return path;
}

static void remove_file(const char *path)
{
	char directory[256];

	unlink(path);
	snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
	rmdir(directory);
}

static void refused(const char *load, const char *says)
{
	error[0] = '\0';
	cr_expect(!app_load(app, load, error, sizeof error), "%s", load);
	cr_expect(strstr(error, says), "%s: %s", load, error);
	cr_expect(!strchr(error, '\n'));
	cr_expect(!app->library);
}

Test(load, builtins)
{
	static const char *const names[] = { "env", "hello", "echo" };

	for (size_t i = 0; i < COUNT(names); i++) {
		struct ag_app *one = app_new("main", "/", NULL);

		cr_expect(app_load(one, names[i], error, sizeof error), "%s", error);
		cr_expect(!one->library);
		app_free(one);
	}
	cr_assert(app_load(app, "hello", error, sizeof error), "%s", error);
	cr_expect(found("DELETE", "/any/where"));
	cr_expect(found("GET", "/"));
}

static void greet(struct ag_app *one)
{
	ag_fail(one, "it is late");
}

Test(load, the_program_itself)
{
	refused("self", "no built-in application is named \"self\"");
	app->self = greet;
	refused("self", "it is late");
}

Test(load, shared_object)
{
	cr_assert(app_load(app, APPS "good.so", error, sizeof error), "%s", error);
	cr_expect(app->library);
	cr_expect(found("GET", "/"));
	cr_expect(found("POST", "/x"));
	cr_expect(!found("POST", "/"));
}

Test(load, in_the_current_directory)
{
	cr_assert_eq(chdir(APPS), 0);
	cr_expect(app_load(app, "good.so", error, sizeof error), "%s", error);
}

Test(load, with_settings)
{
	app_setting(app, "extra", "/more/:x");
	cr_assert(app_load(app, APPS "good.so", error, sizeof error), "%s", error);
	cr_expect(found("GET", "/more/1"));
}

/* A bad pattern fails the load with its name. */
Test(load, with_a_bad_pattern)
{
	app_setting(app, "extra", "/more/:");
	refused(APPS "good.so", "\"/more/:\"");
}

static const struct refused_row {
	const char *load, *says;
} rows[] = {
	{ "helo", "did you mean \"hello\"?" },
	{ "helo", "env, hello, echo" },
	{ "Env", "did you mean \"env\"?" },
	{ "something", "(there are: env, hello, echo" },
	{ "something", "\"something\" (there are" },
	{ "", "no application" },
	{ "no-such.so", "./no-such.so: No such file" },
	{ "/no/such.so", "/no/such.so: No such file" },
	{ "/dev/null", "not a regular file" },
	{ "/tmp/", "not a regular file" },
	{ APPS "other_abi.so", "rebuild it" },
	{ APPS "no_entry.so", "has no AG_APP(...)" },
	{ APPS "fails.so", "key root is missing" },
};

Test(load, refusals)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		refused(rows[i].load, rows[i].says);
	refused(NULL, "no application");
}

Test(load, long_names)
{
	static char name[9000];

	memset(name, 'a', sizeof name - 1);
	refused(name, "no built-in application");
	memcpy(name + sizeof name - 4, ".so", 3);
	refused(name, "File name too long");
	name[0] = '/';
	refused(name, "");
	app_load(app, "helo", error, 1);
	cr_expect_str_empty(error);
}

Test(load, not_a_shared_object)
{
	const char *path = make_file("x.so", 0600);

	refused(path, path);
	refused(path, "invalid ELF header");
	remove_file(path);
}

Test(load, writable_by_others)
{
	static const mode_t modes[] = { 0620, 0602, 0777 };

	for (size_t i = 0; i < COUNT(modes); i++) {
		const char *path = make_file("x.so", modes[i]);

		refused(path, "others than its owner can write to it");
		remove_file(path);
	}
}

Test(load, of_another_user)
{
	const char *path = make_file("x.so", 0644);

	if (geteuid() != 0 || chown(path, 12345, (gid_t)-1) < 0) {
		remove_file(path);
		cr_skip_test("only root can give a file away");
	}
	refused(path, "it belongs to user 12345");
	remove_file(path);
}
