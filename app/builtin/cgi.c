/*
 * CGI programs: one for every path (`program`), or those below a directory (`root`), where the path
 * names the program and what is left of it is PATH_INFO.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../host/cgi.h"
#include "../router.h"
#include "builtin.h"

#define TIMEOUT "30s"

/* A time such as "500ms", "30s", "5m", "1h" or "30" as ms; false: it is none. */
static bool parse_time(const char *text, unsigned *ms)
{
	static const struct {
		const char *unit;
		unsigned ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "", 1000 }, { "m", 60000 }, { "h", 3600000 } };
	char *end;

	errno = 0;
	unsigned long number = *text >= '0' && *text <= '9' ? strtoul(text, &end, 10) : 0;

	if (!number || errno)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		*ms = (unsigned)number * units[i].ms;
		return number <= UINT_MAX / units[i].ms;
	}
	return false;
}

static const char *setting(struct ag_request *req, const char *key)
{
	const char *value = ag_config(req->app, key, NULL);

	return value && *value ? value : NULL;
}

/* A path made absolute: the program runs in another directory. NULL without memory. */
static char *absolute(struct ag_request *req, const char *path)
{
	char directory[PATH_MAX];
	size_t length = strlen(path);

	if (*path == '/')
		return arena_copy(&req->arena, path, length);
	if (!getcwd(directory, sizeof(directory)))
		return NULL;
	size_t size = strlen(directory) + length + 2;
	char *whole = ag_alloc(req, size);

	if (whole)
		snprintf(whole, size, "%s/%s", directory, path);
	return whole;
}

static int run_program(struct ag_request *req, const char *path, struct cgi_program *program)
{
	const char *name = ag_env(req, "SCRIPT_NAME"), *info = ag_env(req, "PATH_INFO");

	program->path = absolute(req, path);
	program->script_name = name ? name : "";
	program->path_info = info ? info : "";
	return program->path ? cgi_run(req, program) : 503;
}

/* ---- below a directory ---- */

/* Opens what a relative path names, only to look at it; never out of the directory. */
static int open_below(int root, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* What a failed look means for the client; a name that leads out is as good as none. */
static int status_of(int error)
{
	if (error == EACCES || error == EPERM || error == EXDEV || error == ELOOP)
		return 403;
	return error == EMFILE || error == ENFILE || error == ENOMEM ? 503 : 404;
}

/* 200: a program; 0: a directory, the path has to go on; else why not. */
static int judge(int root, const char *path)
{
	struct stat found;
	int fd = open_below(root, path);
	int status = 403;

	if (fd < 0)
		return status_of(errno);
	if (fstat(fd, &found) < 0)
		status = 404;
	else if (S_ISDIR(found.st_mode))
		status = 0;
	else if (S_ISREG(found.st_mode) && faccessat(fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) == 0)
		status = 200;
	close(fd);
	return status;
}

/*
 * Cuts the path behind the program's name: `*length` bytes of it are the name. No name on the way
 * may begin with a dot: what is hidden is not for others, and .git is full of programs.
 */
static int find_program(struct ag_request *req, int root, size_t *length)
{
	char *path = arena_copy(&req->arena, req->path, strlen(req->path));
	int status = 0;

	if (!path)
		return 503;
	for (char *at = path, *end; status == 0 && *at == '/'; at = end) {
		char kept;

		if (at[1] == '.' || !at[1])
			return 404;
		end = at + 1 + strcspn(at + 1, "/");
		kept = *end;
		*end = '\0';
		status = judge(root, path + 1);
		*end = kept;
		*length = (size_t)(end - path);
	}
	return status ? status : 404;
}

static int run_found(
        struct ag_request *req, const char *root, size_t length, struct cgi_program *program)
{
	size_t mount = strlen(req->mount), whole = strlen(root);
	char *name = ag_alloc(req, mount + length + 1), *path = ag_alloc(req, whole + length + 1);

	if (!name || !path)
		return 503;
	memcpy(name, req->mount, mount);
	memcpy(name + mount, req->path, length);
	memcpy(path, root, whole);
	memcpy(path + whole, req->path, length);
	name[mount + length] = path[whole + length] = '\0';
	program->path = path;
	program->script_name = name;
	program->path_info = req->path + length;
	program->root = root;
	return cgi_run(req, program);
}

static int run_below(struct ag_request *req, const char *root, struct cgi_program *program)
{
	size_t length = 0;
	char *whole = absolute(req, root);
	int fd = whole ? open(whole, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd < 0) {
		ag_log(req, "can't open the root %s: %s", root, strerror(errno));
		return 503;
	}
	int status = find_program(req, fd, &length);

	close(fd);
	while (whole[0] && whole[1] && whole[strlen(whole) - 1] == '/')
		whole[strlen(whole) - 1] = '\0';
	if (strcmp(whole, "/") == 0)
		*whole = '\0';
	return status == 200 ? run_found(req, whole, length, program) : status;
}

/* ---- the application ---- */

static int cgi(struct ag_request *req)
{
	const char *path = setting(req, "program"), *root = setting(req, "root");
	struct cgi_program program = { 0 };

	parse_time(ag_config(req->app, "timeout", TIMEOUT), &program.timeout);
	return path ? run_program(req, path, &program) : run_below(req, root, &program);
}

static void check_environment(struct ag_app *app)
{
	for (size_t i = 0; i < app->setting_count; i++) {
		const char *key = app->settings[i].key;

		if (strncmp(key, "env.", 4) == 0 && !cgi_is_name(key + 4))
			ag_fail(app,
			        "key \"%s\" names no variable: use letters, digits and \"_\", "
			        "no digit first",
			        key);
	}
}

void builtin_cgi(struct ag_app *app)
{
	const char *program = ag_config(app, "program", ""), *root = ag_config(app, "root", "");
	const char *timeout = ag_config(app, "timeout", TIMEOUT);
	unsigned ms;
	struct stat found;

	if (!*program && !*root)
		ag_fail(app, "give \"program\", the path of a CGI program, or \"root\", a "
		             "directory of them");
	if (*program && *root)
		ag_fail(app, "\"program\" and \"root\" are both given; only one of them can be");
	if (*root && (stat(root, &found) < 0 || !S_ISDIR(found.st_mode)))
		ag_fail(app, "root %s is not a directory that can be used", root);
	if (!parse_time(timeout, &ms))
		ag_fail(app, "bad timeout \"%s\": give a time above zero, such as %s", timeout,
		        TIMEOUT);
	check_environment(app);
	ag_route(app, NULL, "/*path", cgi);
}
