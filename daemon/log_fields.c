/* What can be told of a request in the access log. */
#include "log_fields.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "../app/router.h"
#include "log_escape.h"
#include "log_private.h"

/* ---- values ---- */

static void escape(const struct line *line, const char *text, size_t length)
{
	if (line->json)
		log_escape_json(line->out, text, length);
	else if (line->word)
		log_escape_word(line->out, text, length);
	else
		log_escape_field(line->out, text, length);
}

static void put_text(struct line *line, const char *text, size_t length)
{
	if (!text || (!length && !line->json)) {
		write_bytes(line->out, line->json ? "null" : "-", line->json ? 4 : 1);
		return;
	}
	if (line->json)
		write_literal(line->out, "\"");
	escape(line, text, length < line->most ? length : line->most);
	if (length > line->most)
		write_literal(line->out, "...");
	if (line->json)
		write_literal(line->out, "\"");
}

static void put_string(struct line *line, const char *text)
{
	put_text(line, text, text ? strlen(text) : 0);
}

static void put_thousandths(struct line *line, uint64_t value)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%llu.%03u", (unsigned long long)value / 1000,
	        (unsigned)(value % 1000));

	write_bytes(line->out, text, (size_t)n);
}

static void put_var(struct line *line, const struct var *var)
{
	put_text(line, var ? env_value(var) : NULL, var ? var->value_length : 0);
}

static const struct var *known(const struct line *line, enum var_id id)
{
	return env_known(&line->entry->req->env, id);
}

/* ---- fields ---- */

static uint64_t duration(const struct log_entry *entry)
{
	uint64_t since = entry->req->since;

	return since && entry->now > since ? entry->now - since : 0;
}

static void tell_time(struct line *line)
{
	char stamp[LOG_STAMP_MAX];

	put_text(line, stamp, log_stamp(stamp, sizeof(stamp)));
}

static void tell_time_local(struct line *line)
{
	char stamp[64];
	time_t now = time(NULL);
	struct tm local;

	localtime_r(&now, &local);
	put_text(line, stamp, strftime(stamp, sizeof(stamp), "%d/%b/%Y:%H:%M:%S %z", &local));
}

static void tell_epoch(struct line *line)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	put_thousandths(line, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

static void tell_remote_addr(struct line *line)
{
	const struct var *var = known(line, VAR_REMOTE_ADDR);

	if (var)
		put_var(line, var);
	else
		put_string(line, line->entry->peer);
}

/* "GET /x HTTP/1.1" in one, as combined has it. */
static void tell_request(struct line *line)
{
	static const enum var_id ids[] = { VAR_REQUEST_METHOD, VAR_REQUEST_URI,
		VAR_SERVER_PROTOCOL };

	if (!known(line, VAR_REQUEST_METHOD)) {
		put_text(line, NULL, 0);
		return;
	}
	for (size_t i = 0; i < 3; i++) {
		if (i)
			write_literal(line->out, " ");
		put_var(line, known(line, ids[i]));
	}
}

static void tell_method(struct line *line)
{
	put_var(line, known(line, VAR_REQUEST_METHOD));
}

static void tell_uri(struct line *line)
{
	put_var(line, known(line, VAR_REQUEST_URI));
}

static void tell_protocol(struct line *line)
{
	put_var(line, known(line, VAR_SERVER_PROTOCOL));
}

static void tell_path(struct line *line)
{
	put_string(line, line->entry->req->path);
}

static void tell_mount(struct line *line)
{
	put_string(line, line->entry->req->mount);
}

static void tell_query(struct line *line)
{
	put_string(line, line->entry->req->query);
}

static void tell_app(struct line *line)
{
	put_string(line, line->entry->req->app ? line->entry->req->app->name : NULL);
}

static void tell_gate(struct line *line)
{
	put_string(line, line->entry->req->gate->protocol);
}

static void tell_request_id(struct line *line)
{
	put_string(line, ag_request_id(line->entry->req));
}

static void tell_status(struct line *line)
{
	write_decimal(line->out, (uint64_t)log_status(line->entry->req));
}

static void tell_bytes_out(struct line *line)
{
	const struct ag_request *req = line->entry->req;
	int status = log_status(req);
	bool silent = status == LOG_STATUS_NONE || req->is_head || status == 204 || status == 304;

	write_decimal(line->out, silent ? 0 : req->body_sent);
}

static void tell_bytes_in(struct line *line)
{
	write_decimal(line->out, line->entry->req->body_received);
}

static void tell_duration_ms(struct line *line)
{
	put_thousandths(line, duration(line->entry));
}

static void tell_wait_ms(struct line *line)
{
	uint64_t all = duration(line->entry), ran = line->entry->req->ran;

	put_thousandths(line, all > ran ? all - ran : 0);
}

static void tell_run_ms(struct line *line)
{
	put_thousandths(line, line->entry->req->ran);
}

static void tell_worker(struct line *line)
{
	write_decimal(line->out, (uint64_t)line->entry->req->runtime->worker);
}

static void tell_pid(struct line *line)
{
	write_decimal(line->out, (uint64_t)getpid());
}

static void tell_cut(struct line *line)
{
	const struct ag_request *req = line->entry->req;
	bool cut = log_status(req) == LOG_STATUS_NONE || req->broken || req->cut_short;

	if (line->json)
		write_bytes(line->out, cut ? "true" : "false", cut ? 4 : 5);
	else
		write_decimal(line->out, cut);
}

/* What has come in pieces is not looked at before all of it is here. */
void log_tell_variable(struct line *line)
{
	const struct ag_request *req = line->entry->req;
	bool whole = req->has_head || req->method;

	put_var(line, whole ? env_find(&req->env, line->variable, strlen(line->variable)) : NULL);
}

/* By name; `variable` is one that is told as it is. */
const struct log_field log_fields[] = {
	{ "time", tell_time, NULL, 0 },
	{ "time_local", tell_time_local, NULL, 0 },
	{ "epoch", tell_epoch, NULL, 0 },
	{ "remote_addr", tell_remote_addr, NULL, FIELD_WORD },
	{ "remote_port", log_tell_variable, "REMOTE_PORT", FIELD_WORD },
	{ "remote_user", log_tell_variable, "REMOTE_USER", FIELD_WORD },
	{ "request", tell_request, NULL, FIELD_WORD },
	{ "method", tell_method, NULL, FIELD_WORD },
	{ "uri", tell_uri, NULL, FIELD_WORD },
	{ "path", tell_path, NULL, 0 },
	{ "query", tell_query, NULL, FIELD_WORD },
	{ "protocol", tell_protocol, NULL, FIELD_WORD },
	{ "scheme", log_tell_variable, "REQUEST_SCHEME", FIELD_WORD },
	{ "host", log_tell_variable, "HTTP_HOST", FIELD_WORD },
	{ "server_name", log_tell_variable, "SERVER_NAME", FIELD_WORD },
	{ "referer", log_tell_variable, "HTTP_REFERER", 0 },
	{ "user_agent", log_tell_variable, "HTTP_USER_AGENT", 0 },
	{ "app", tell_app, NULL, 0 },
	{ "mount", tell_mount, NULL, 0 },
	{ "gate", tell_gate, NULL, 0 },
	{ "worker", tell_worker, NULL, 0 },
	{ "pid", tell_pid, NULL, 0 },
	{ "request_id", tell_request_id, NULL, FIELD_WORD },
	{ "status", tell_status, NULL, 0 },
	{ "bytes", tell_bytes_out, NULL, 0 },
	{ "bytes_in", tell_bytes_in, NULL, 0 },
	{ "cut", tell_cut, NULL, 0 },
	{ "duration_ms", tell_duration_ms, NULL, FIELD_TIMED },
	{ "wait_ms", tell_wait_ms, NULL, FIELD_TIMED },
	{ "run_ms", tell_run_ms, NULL, FIELD_TIMED },
};

const size_t log_field_count = sizeof(log_fields) / sizeof(*log_fields);
