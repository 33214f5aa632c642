/* What a CGI program finds in its environment. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../async/subprocess.h"
#include "../router.h"
#include "cgi.h"

/* Taken over as the request has them, where it has them (RFC 3875 4.1 and custom). */
static const char *const taken[] = { "AUTH_TYPE", "CONTENT_TYPE", "HTTPS", "QUERY_STRING",
	"REMOTE_ADDR", "REMOTE_HOST", "REMOTE_IDENT", "REMOTE_PORT", "REMOTE_USER",
	"REQUEST_METHOD", "REQUEST_SCHEME", "REQUEST_URI", "SERVER_ADDR", "SERVER_NAME",
	"SERVER_PORT", "SERVER_PROTOCOL", "SERVER_SOFTWARE" };

/* Of our own making, besides: PATH, GATEWAY_INTERFACE, SCRIPT_NAME, SCRIPT_FILENAME, PATH_INFO,
 * PATH_TRANSLATED, DOCUMENT_ROOT, CONTENT_LENGTH. */
#define OWN 8

static const char setting_prefix[] = "env.";
#define SETTING_PREFIX (sizeof(setting_prefix) - 1)

struct list {
	struct ag_request *req;
	char **at; /* the next free; NULL: no memory */
	char **first;
};

bool cgi_is_name(const char *name)
{
	static const char allowed[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";

	return *name && !(*name >= '0' && *name <= '9') && !name[strspn(name, allowed)];
}

/* Replaces a variable of this name, if there is one. */
static void set_joined(struct list *list, const char *name, const char *value, const char *more)
{
	size_t name_length = strlen(name), length = strlen(value), rest = strlen(more);
	char *text = list->at ? ag_alloc(list->req, name_length + length + rest + 2) : NULL;
	char **place = list->first;

	if (!text) {
		list->at = NULL;
		return;
	}
	memcpy(text, name, name_length);
	text[name_length] = '=';
	memcpy(text + name_length + 1, value, length);
	memcpy(text + name_length + 1 + length, more, rest + 1);
	while (place < list->at && strncmp(*place, text, name_length + 1) != 0)
		place++;
	if (place == list->at)
		*++list->at = NULL;
	*place = text;
}

static void set(struct list *list, const char *name, const char *value)
{
	set_joined(list, name, value, "");
}

/*
 * HTTP_* of upper-case letters, digits and "_" only: any other byte, "=" above all, would make it
 * another name. HTTP_PROXY would be taken for a setting (httpoxy).
 */
static bool is_field(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

	return strncmp(name, "HTTP_", 5) == 0 && name[5] && !name[strspn(name, allowed)] &&
	       strcmp(name, "HTTP_PROXY") != 0;
}

static void set_taken(struct list *list)
{
	const char *name, *value;

	for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++)
		if ((value = ag_env(list->req, taken[i])))
			set(list, taken[i], value);
	for (size_t i = 0; ag_env_at(list->req, i, &name, &value); i++)
		if (is_field(name))
			set(list, name, value);
}

static void set_own(struct list *list, const struct cgi_program *program)
{
	char length[24];

	set(list, "PATH", SUBPROCESS_PATH);
	set(list, "GATEWAY_INTERFACE", "CGI/1.1");
	set(list, "SCRIPT_NAME", program->script_name);
	set(list, "SCRIPT_FILENAME", program->path);
	if (*program->path_info)
		set(list, "PATH_INFO", program->path_info);
	if (program->root)
		set(list, "DOCUMENT_ROOT", program->root);
	if (program->root && *program->path_info)
		set_joined(list, "PATH_TRANSLATED", program->root, program->path_info);
	if (list->req->length > 0) {
		snprintf(length, sizeof(length), "%" PRId64, list->req->length);
		set(list, "CONTENT_LENGTH", length);
	}
}

static void set_settings(struct list *list)
{
	const struct ag_app *app = list->req->app;

	for (size_t i = 0; i < app->setting_count; i++)
		if (strncmp(app->settings[i].key, setting_prefix, SETTING_PREFIX) == 0)
			set(list, app->settings[i].key + SETTING_PREFIX, app->settings[i].value);
}

char **cgi_environment(struct ag_request *req, const struct cgi_program *program)
{
	size_t most = sizeof(taken) / sizeof(*taken) + OWN + req->env.count +
	              req->app->setting_count + 1;
	struct list list = { .req = req, .first = ag_alloc(req, most * sizeof(char *)) };

	if (!list.first)
		return NULL;
	list.at = list.first;
	*list.at = NULL;
	set_own(&list, program);
	set_taken(&list);
	set_settings(&list);
	return list.at ? list.first : NULL;
}
