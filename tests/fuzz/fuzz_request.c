/*
 * Variables or HTTP fields as a gate gives them, up to what an application sees: the path rule, the
 * mount, what is hidden, arguments, cookies, and that no answer's field can be broken out of.
 *
 * The input: a letter ("v" variables, "w" the same under a mount, "f" HTTP fields; a capital one
 * separates by 0xff, not by LF), then NAME=value for each; with fields first method and target.
 */
#include <stdlib.h>
#include <string.h>

#include "../../app/path.h"
#include "../../app/request.h"
#include "../../app/router.h"
#include "../../protocols/cgi.h"
#include "oracle.h"

static const struct limits limits = {
	.header_size = 65536, .variables = 64, .body_size = 50 << 20, .body_memory = 65536
};

static int gate_send(
        struct ag_request *req, const struct head *head, const void *body, size_t size, bool end)
{
	(void)req, (void)head, (void)body, (void)size, (void)end;
	return 0;
}

static void gate_ignore(struct ag_request *req)
{
	(void)req;
}

static void gate_log(struct ag_request *req, const char *line)
{
	(void)req, (void)line;
}

static const struct gate gate = { "fuzz", gate_send, gate_ignore, gate_ignore, gate_log, NULL };

/* ---- in ---- */

static struct span take_line(struct span *in, uint8_t separator)
{
	const uint8_t *end = in->length ? memchr(in->data, separator, in->length) : NULL;
	size_t length = end ? (size_t)(end - in->data) : in->length;
	struct span line = { span_take(in, length), length };

	if (end)
		span_take(in, 1);
	return line;
}

static struct pair split(struct span line)
{
	struct pair pair = { .name = take_line(&line, '=') };

	pair.value = line;
	return pair;
}

/* In the pieces in which FastCGI gives it; `cut` bytes at a time. */
static struct verdict take_pieces(struct env *env, struct pair pair, size_t cut)
{
	struct wire_event event = { .kind = EVENT_PAIR, .count = 1, .pairs = { pair } };
	size_t length = pair.name.length + pair.value.length;
	uint8_t *text = malloc(length);
	struct verdict verdict = cgi_take(env, &event);

	if (pair.name.length)
		memcpy(text, pair.name.data, pair.name.length);
	if (pair.value.length)
		memcpy(text + pair.name.length, pair.value.data, pair.value.length);
	event.kind = EVENT_PART;
	for (size_t at = 0; at < length && !verdict.status; at += event.data.length) {
		event.data.data = text + at;
		event.data.length = cut < length - at ? cut : length - at;
		verdict = cgi_take(env, &event);
	}
	free(text);
	return verdict;
}

static struct verdict take(struct env *env, struct pair pair, bool field)
{
	struct wire_event event = {
		.kind = field ? EVENT_FIELDS : EVENT_VARIABLES, .count = 1, .pairs = { pair }
	};
	size_t length = pair.name.length + pair.value.length;

	if (!field)
		event.pairs[0].id = env_lookup(pair.name.data, pair.name.length);
	if (!field && length % 3 == 1)
		return take_pieces(env, pair, 1 + length % 5);
	return cgi_take(env, &event);
}

static struct pair named(const char *name, struct span value)
{
	return pair_of((const uint8_t *)name, strlen(name), value.data, value.length);
}

/* Whether http.c would have given this field: a name of letters, digits, "-", a clean value. */
static bool is_field(const struct pair *pair)
{
	struct span value = pair->value;

	for (size_t i = 0; i < pair->name.length; i++)
		if (!grammar_tchar[pair->name.data[i]] || pair->name.data[i] == '_' ||
		        pair->name.data[i] == '.')
			return false;
	for (size_t i = 0; i < value.length; i++)
		if (value.data[i] < 0x20 || value.data[i] == 0x7f)
			return false;
	return pair->name.length > 0;
}

static struct verdict take_all(struct env *env, uint8_t how, struct span in)
{
	uint8_t separator = how & 0x20 ? '\n' : 0xff;
	bool fields = (how | 0x20) == 'f';
	struct verdict verdict = { 0, NULL };

	if (fields) {
		verdict = take(env, named("REQUEST_METHOD", take_line(&in, separator)), false);
		if (!verdict.status)
			verdict = take(env, named("REQUEST_URI", take_line(&in, separator)), false);
	}
	while (in.length && !verdict.status) {
		struct pair pair = split(take_line(&in, separator));

		if (!fields || is_field(&pair))
			verdict = take(env, pair, fields);
	}
	return verdict.status ? verdict : cgi_check(env, &limits);
}

/* ---- what must hold ---- */

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), wanted = strlen(end);

	return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

static bool is_clean(const char *path)
{
	if (strcmp(path, "*") == 0)
		return true;
	return path[0] == '/' && !strstr(path, "//") && !strstr(path, "/./") &&
	       !strstr(path, "/../") && !ends_with(path, "/.") && !ends_with(path, "/..");
}

static void check_path(struct ag_request *req)
{
	char *again = arena_copy(&req->arena, req->path, strlen(req->path));
	size_t mount = strlen(req->mount);

	FUZZ_CHECK(is_clean(req->path), "a path that is not clean");
	FUZZ_CHECK(again && path_normalise(again, strlen(again)) == strlen(req->path) &&
	                   strcmp(again, req->path) == 0,
	        "normalised again it is another");
	FUZZ_CHECK(!mount || (req->mount[0] == '/' && req->mount[mount - 1] != '/'), "mount");
	FUZZ_CHECK(!mount || is_clean(req->mount), "a mount that is not clean");
	FUZZ_CHECK(
	        strcmp(ag_env(req, "PATH_INFO") ? ag_env(req, "PATH_INFO") : "", req->path) == 0 ||
	                !mount || strcmp(req->path, "/") == 0,
	        "PATH_INFO is not the path");
}

/* An attribute of the connection, or httpoxy: never to be seen. */
static bool is_hidden_name(const char *name)
{
	static const char *const names[] = { "HTTP_PROXY", "HTTP_CONNECTION", "HTTP_KEEP_ALIVE",
		"HTTP_PROXY_CONNECTION", "HTTP_TE", "HTTP_TRAILER", "HTTP_TRANSFER_ENCODING",
		"HTTP_EXPECT", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void check_variables(struct ag_request *req)
{
	static const char *const fields[] = { "proxy", "Connection", "TE", "Transfer-Encoding" };
	const char *name, *value, *found;

	for (size_t i = 0; ag_env_at(req, i, &name, &value); i++) {
		FUZZ_CHECK(*name && !strchr(name, '='), "a name that is none");
		FUZZ_CHECK(!is_hidden_name(name), "a hidden name is visible");
		found = ag_env(req, name);
		FUZZ_CHECK(found == value, "a name is visible twice");
		if (strncmp(name, "HTTP_", 5) == 0 && name[5])
			FUZZ_CHECK(!strpbrk(value, "\r\n"), "a line break in a field");
	}
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		FUZZ_CHECK(!ag_header(req, fields[i]), "a hidden field is visible");
}

static void check_derived(const struct ag_request *req)
{
	const char *length = ag_env(req, "CONTENT_LENGTH"), *https = ag_env(req, "HTTPS");
	const char *scheme = ag_env(req, "REQUEST_SCHEME"), *server = ag_env(req, "SERVER_NAME");

	FUZZ_CHECK((length != NULL) == (req->length > 0), "CONTENT_LENGTH");
	FUZZ_CHECK(!length || strtoull(length, NULL, 10) == (uint64_t)req->length, "length");
	FUZZ_CHECK(req->length <= (int64_t)limits.body_size, "a length above the limit");
	FUZZ_CHECK(scheme && *scheme, "no REQUEST_SCHEME");
	FUZZ_CHECK(!https || strcmp(https, "on") == 0, "HTTPS is neither absent nor on");
	FUZZ_CHECK(server && *server, "no SERVER_NAME");
	FUZZ_CHECK(*req->method && ag_env(req, "SERVER_PORT"), "no method or port");
}

/* All that can be asked for: the sanitizers watch. Arguments can't hold more than the query. */
static void look_up(struct ag_request *req)
{
	const char *name, *value;
	size_t length = 0;

	for (size_t i = 0; ag_arg_at(req, i, &name, &value); i++) {
		length += strlen(name) + strlen(value);
		FUZZ_CHECK(ag_arg(req, name, NULL), "an argument that is not found");
	}
	FUZZ_CHECK(length <= strlen(req->query), "arguments longer than their query");
	for (size_t i = 0; i < req->env.count && i < 8; i++) {
		const char *cookie = ag_cookie(req, env_value(&req->env.vars[i]));

		FUZZ_CHECK(!cookie || !strchr(cookie, ';'), "a cookie with what follows it");
	}
	ag_cookie(req, "a");
}

/* What the application repeats of the request stays one line of the answer. */
static void check_answer_fields(struct ag_request *req)
{
	const char *name, *value;
	size_t lines = 0;

	for (size_t i = 0; i < 8 && ag_env_at(req, i, &name, &value); i++) {
		ag_set_header(req, name, value);
		ag_set_header(req, "X-Copy", value);
		ag_redirect(req, 302, value);
		ag_set_header(req, value, name);
	}
	for (size_t i = 0; i < req->fields_length; i++) {
		uint8_t byte = (uint8_t)req->fields[i];

		FUZZ_CHECK((byte >= 0x20 && byte != 0x7f) || byte == '\t' || byte == '\r' ||
		                   byte == '\n',
		        "a control byte in the answer");
		FUZZ_CHECK((byte == '\r') ==
		                   (i + 1 < req->fields_length && req->fields[i + 1] == '\n'),
		        "a line end that is not CRLF");
		lines += byte == '\n';
	}
	FUZZ_CHECK(lines <= 26, "more lines than fields");
}

static void check(struct ag_request *req, uint8_t how, struct span in)
{
	struct verdict verdict = take_all(&req->env, how, in);

	if (verdict.status) {
		FUZZ_CHECK(verdict.reason && verdict.status >= 400, "refused without reason");
		return;
	}
	int status = request_head(req);

	FUZZ_CHECK(status == 0 || status == 400 || status == 431, "status of request_head");
	if (status)
		return;
	check_path(req);
	check_variables(req);
	check_derived(req);
	look_up(req);
	check_answer_fields(req);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ag_app *apps[2];
	static struct host host = { apps, 1 };
	struct runtime runtime = { .limits = &limits, .host = &host, .worker = 1 };

	if (!apps[0]) {
		apps[0] = app_new("mounted", "/app", NULL);
		apps[1] = app_new("main", "/", NULL);
	}
	if (!size)
		return 0;
	host.count = (data[0] | 0x20) == 'w' ? 1 : 2;
	struct ag_request *req = request_new(&runtime, &gate, NULL, 1);

	check(req, data[0], (struct span){ data + 1, size - 1 });
	request_free(req);
	block_pool_free(&runtime.blocks);
	block_pool_free(&runtime.buffers);
	return 0;
}
