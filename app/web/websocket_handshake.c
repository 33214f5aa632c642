/* The opening handshake (RFC 6455 4.2): what is asked, whether it may be, and the answer. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "../response.h"
#include "websocket_private.h"

#define MESSAGE_MAX   (1024 * 1024)
#define PING_INTERVAL 30000 /* ms: half of what nginx waits for (proxy_read_timeout) */

#define KEY_LENGTH    24 /* 16 bytes in base64 */
#define ACCEPT_LENGTH 28 /* 20 bytes */

static const char *variable(const struct ag_request *req, const char *name)
{
	const char *value = ag_env(req, name);

	return value ? value : "";
}

/* Whether a comma-separated list holds a token; `same` compares. */
static bool lists(const char *list, const char *token,
        int (*same)(const char *one, const char *other, size_t length))
{
	size_t length = strlen(token);

	while (*list) {
		list += strspn(list, ", \t");
		size_t item = strcspn(list, ", \t");

		if (item == length && same(list, token, length) == 0)
			return true;
		list += item;
	}
	return false;
}

/* The variable is there only where Connection lists it too. */
bool ag_ws_wanted(const struct ag_request *req)
{
	return lists(variable(req, "HTTP_UPGRADE"), "websocket", strncasecmp);
}

/* 16 bytes in base64: 22 digits, of which the last stands for two bits, and the padding. */
static bool is_key(const char *key)
{
	static const char digits[] =
	        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	return strlen(key) == KEY_LENGTH && strspn(key, digits) == KEY_LENGTH - 2 &&
	       strchr("AQgw", key[KEY_LENGTH - 3]) && strcmp(key + KEY_LENGTH - 2, "==") == 0;
}

/* RFC 6455 4.2.2: what proves that the key was understood. */
static bool accept_key(const char *key, char accept[ACCEPT_LENGTH + 1])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[KEY_LENGTH + sizeof(guid)];
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned length;

	memcpy(text, key, KEY_LENGTH);
	memcpy(text + KEY_LENGTH, guid, sizeof(guid));
	if (EVP_Digest(text, sizeof(text) - 1, digest, &length, EVP_sha1(), NULL) != 1)
		return false;
	return EVP_EncodeBlock((unsigned char *)accept, digest, (int)length) == ACCEPT_LENGTH;
}

/* Of "host" in "host[:port]". */
static size_t name_length(const char *authority)
{
	const char *bracket = *authority == '[' ? strchr(authority, ']') : NULL;
	const char *colon = strchr(bracket ? bracket : authority, ':');

	return colon ? (size_t)(colon - authority) : strlen(authority);
}

/*
 * "https://host[:port]" against Host. Each may leave out the scheme's own port. nginx takes any
 * port from the Host that it gives to its CGI gates, and says in SERVER_PORT which it was.
 */
static bool is_same_host(const struct ag_request *req, const char *origin)
{
	const char *host = variable(req, "HTTP_HOST"), *authority = strstr(origin, "://");
	const char *usual = strncasecmp(origin, "https:", 6) == 0 ? ":443" : ":80";

	if (!authority || !*host)
		return false;
	authority += 3;
	size_t length = name_length(authority);

	if (length != name_length(host) || strncasecmp(authority, host, length) != 0)
		return false;
	const char *port = authority[length] ? authority + length : usual;

	if (host[length])
		return strcmp(port, host + length) == 0;
	return strcmp(port, usual) == 0 || strcmp(port + 1, variable(req, "SERVER_PORT")) == 0;
}

/* Browsers say which page asks; others need not (RFC 6455 10.2). */
static bool may_ask(const struct ag_request *req, const char *const *origins)
{
	const char *origin = ag_env(req, "HTTP_ORIGIN");

	if (!origin)
		return true;
	if (!origins)
		return is_same_host(req, origin);
	for (; *origins; origins++)
		if (strcmp(*origins, "*") == 0 || strcasecmp(*origins, origin) == 0)
			return true;
	return false;
}

static const char *find_subprotocol(const struct ag_request *req, const char *const *spoken)
{
	const char *wanted = variable(req, "HTTP_SEC_WEBSOCKET_PROTOCOL");

	for (; spoken && *spoken; spoken++)
		if (lists(wanted, *spoken, strncmp))
			return *spoken;
	return NULL;
}

static struct ag_ws *refuse(struct ag_request *req, int status, const char *text)
{
	req->closes = true; /* frames may follow */
	ag_status(req, status);
	ag_puts(req, text);
	return NULL;
}

/* RFC 9110 15.5.22: says what would be taken. Connection names the field where it goes to the
 * client itself. */
static struct ag_ws *refuse_version(struct ag_request *req)
{
	response_append(req, "Upgrade", "websocket");
	if (strcmp(ag_protocol(req), "http") == 0)
		response_append(req, "Connection", "Upgrade");
	response_append(req, "Sec-WebSocket-Version", "13");
	return refuse(req, 426, "This is a WebSocket, version 13 (RFC 6455): ask for it.\n");
}

/* Whether an upgrade can be talked about at all: HTTP/1.1, GET, without a body. */
static bool is_request(const struct ag_request *req)
{
	return strcmp(req->method, "GET") == 0 && req->body_ended && !req->body_received &&
	       strcmp(variable(req, "SERVER_PROTOCOL"), "HTTP/1.1") == 0;
}

/* RFC 7692 7.1: neither side keeps anything from one message to the next. */
static int add_extension(struct ag_request *req, int window)
{
	char value[128];

	snprintf(value, sizeof(value),
	        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
	        "server_max_window_bits=%d",
	        window);
	if (window == 15)
		*strrchr(value, ';') = '\0'; /* nobody has asked for less */
	return response_append(req, "Sec-WebSocket-Extensions", value);
}

static bool add_fields(struct ag_request *req, const struct ag_ws *ws)
{
	const char *subprotocol = ws->subprotocol;
	char accept[ACCEPT_LENGTH + 1];

	return accept_key(variable(req, "HTTP_SEC_WEBSOCKET_KEY"), accept) &&
	       response_append(req, "Upgrade", "websocket") == 0 &&
	       response_append(req, "Sec-WebSocket-Accept", accept) == 0 &&
	       (!ws->window || add_extension(req, ws->window) == 0) &&
	       (!subprotocol || response_append(req, "Sec-WebSocket-Protocol", subprotocol) == 0);
}

/* All is as it must be: the connection changes hands. */
static struct ag_ws *open_websocket(struct ag_request *req, const struct ag_ws_options *options)
{
	struct ag_ws *ws = ag_alloc(req, sizeof(*ws));

	if (!ws)
		return refuse(req, 503, "No memory for a WebSocket.\n");
	*ws = (struct ag_ws){ .req = req,
		.subprotocol = find_subprotocol(req, options->subprotocols),
		.message_max = options->message_max ? options->message_max : MESSAGE_MAX,
		.ping_interval = options->ping_interval ? options->ping_interval : PING_INTERVAL };
	if (!options->plain)
		ws->window = websocket_negotiate(variable(req, "HTTP_SEC_WEBSOCKET_EXTENSIONS"));
	if (!req->gate->upgrade || !req->gate->upgrade(req))
		return refuse(req, 501,
		        "A WebSocket can't come by FastCGI: let the gateway use proxy_pass, "
		        "scgi_pass or uwsgi_pass.\n");
	req->upgraded = true;
	req->body_ended = false;
	req->length = -1;
	req->has_type = true; /* none */
	req->announced = -1;
	req->status = 101;
	req->websocket = ws;
	ws->error = add_fields(req, ws) ? ag_flush(req) : AG_NOMEM;
	return ws;
}

struct ag_ws *ag_ws_accept(struct ag_request *req, const struct ag_ws_options *options)
{
	static const struct ag_ws_options usual;

	if (!options)
		options = &usual;
	if (req->head_sent || req->body_sent || req->websocket) {
		ag_log(req, "ag_ws_accept after the answer has begun");
		return NULL;
	}
	if (!ag_ws_wanted(req))
		return refuse_version(req);
	if (!is_request(req))
		return refuse(req, 400, "A WebSocket begins with GET and HTTP/1.1, no body.\n");
	if (strcmp(variable(req, "HTTP_SEC_WEBSOCKET_VERSION"), "13") != 0)
		return refuse_version(req);
	if (!is_key(variable(req, "HTTP_SEC_WEBSOCKET_KEY")))
		return refuse(req, 400, "Sec-WebSocket-Key is not 16 bytes in base64.\n");
	if (!may_ask(req, options->origins))
		return refuse(req, 403, "Pages of this origin may not open it.\n");
	return open_websocket(req, options);
}

int ag_ws_status(const struct ag_request *req)
{
	return req->status ? req->status : 500;
}
