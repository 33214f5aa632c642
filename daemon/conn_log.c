/* What the logs say of a connection's requests. */
#include "conn_private.h"

#include "access.h"
#include "log.h"
#include "log_template.h"

/* Method and URI as a line names them. */
struct asked {
	char method[32], uri[512];
};

static const char *asked_text(const struct ag_request *req, enum var_id id, char *to, size_t size)
{
	const struct var *var = env_known(&req->env, id);

	return log_text(to, size, var ? env_value(var) : "-");
}

static void read_asked(const struct ag_request *req, struct asked *asked)
{
	asked_text(req, VAR_REQUEST_METHOD, asked->method, sizeof(asked->method));
	asked_text(req, VAR_REQUEST_URI, asked->uri, sizeof(asked->uri));
}

void conn_log_said(struct ag_request *req, const char *line)
{
	struct asked asked;

	if (!log_wants(LOG_LEVEL_INFO))
		return;
	read_asked(req, &asked);
	log_request_line(
	        LOG_LEVEL_INFO, ag_request_id(req), "%s %s: %s", asked.method, asked.uri, line);
}

/* A line for the access log; before its head is complete only the connection knows the peer. */
static void tell_access(const struct conn *conn, struct ag_request *req)
{
	struct sockaddr_storage peer = conn_peer(conn);
	char host[64];
	bool told = !conn->protocol->direct || env_known(&req->env, VAR_REMOTE_ADDR);

	if (!told)
		socket_host((struct sockaddr *)&peer, host, sizeof(host));
	access_request(conn->worker->access, req, told ? NULL : host);
}

static double ms(uint64_t us)
{
	return (double)us / 1000;
}

static void tell_times(
        const struct conn *conn, struct ag_request *req, uint64_t all, const char *slow)
{
	uint64_t waited = all > req->ran ? all - req->ran : 0;
	struct asked asked;

	read_asked(req, &asked);
	log_request_line(*slow ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, ag_request_id(req),
	        "%s%s %s: %d, %llu bytes (%s) in %.3f ms: ran %.3f ms, waited %.3f ms", slow,
	        asked.method, asked.uri, log_status(req), (unsigned long long)req->body_sent,
	        conn->protocol->name, ms(all), ms(req->ran), ms(waited));
}

void conn_log_end(const struct conn *conn, struct ag_request *req)
{
	const struct config *config = conn->worker->config;

	if (conn->worker->access)
		tell_access(conn, req);
	if (!config->debug && !config->log.slow)
		return;
	uint64_t now = request_clock();
	uint64_t all = req->since && now > req->since ? now - req->since : 0;
	bool slow = config->log.slow && all > config->log.slow * UINT64_C(1000);

	if (slow || config->debug)
		tell_times(conn, req, all, slow ? "slow: " : "");
}
