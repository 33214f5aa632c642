/* What a fetch is to ask: whether that is allowed, and in libcurl's terms. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fetch_private.h"

#define LIMIT_USUALLY      (1U << 20)
#define CONNECT_MS_USUALLY 10000L

/* ---- what is allowed ---- */

/* RFC 9110 5.6.2 */
static bool is_token_byte(char byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
	       (byte >= 'A' && byte <= 'Z') || (byte && strchr("!#$%&'*+-.^_`|~", byte));
}

static size_t token_length(const char *text)
{
	size_t length = 0;

	while (is_token_byte(text[length]))
		length++;
	return length;
}

static bool has_control(const char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f)
			return true;
	return false;
}

/* Those of a connection, which are libcurl's to say: two answers would be two requests. */
static bool is_reserved(const char *name, size_t length)
{
	static const char *const reserved[] = { "Connection", "Content-Length", "Expect",
		"Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade" };

	for (size_t i = 0; i < sizeof(reserved) / sizeof(*reserved); i++)
		if (strlen(reserved[i]) == length && strncasecmp(reserved[i], name, length) == 0)
			return true;
	return false;
}

static const char *header_fault(const char *line)
{
	size_t length = token_length(line);

	if (!length || line[length] != ':')
		return "headers: one is not \"Name: value\"";
	if (has_control(line))
		return "headers: one has a control byte";
	return is_reserved(line, length) ? "headers: one is not for applications" : NULL;
}

static const char *url_fault(const char *url)
{
	if (!url || (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0))
		return "url: does not begin with http:// or https://";
	for (; *url; url++)
		if ((unsigned char)*url <= ' ' || (unsigned char)*url >= 0x7f)
			return "url: has a byte that is to be percent-encoded";
	return NULL;
}

/* libcurl would not follow it anyway, but says so in other words. */
static const char *user_fault(const char *url)
{
	const char *host = strstr(url, "://") + 3;

	return memchr(host, '@', strcspn(host, "/?#")) ? "url: has a user name" : NULL;
}

static const char *method_fault(const char *method)
{
	if (!method)
		return NULL;
	if (!*method || method[token_length(method)])
		return "method: not a token";
	return strcmp(method, "CONNECT") == 0 ? "method: CONNECT is for proxies" : NULL;
}

static bool has_body(const struct ag_fetch_spec *spec)
{
	return spec->body_request || spec->body_size;
}

static const char *body_fault(const struct ag_request *req, const struct ag_fetch_spec *spec)
{
	if (spec->body_request && spec->body_size)
		return "body: there are two";
	if (spec->body_request && req->reader)
		return "body_request: another task reads it";
	if (spec->body_size && spec->method && strcmp(spec->method, "HEAD") == 0)
		return "body: not with HEAD";
	return NULL;
}

const char *fetch_fault(const struct ag_request *req, const struct ag_fetch_spec *spec)
{
	const char *fault = url_fault(spec->url);

	if (!fault)
		fault = user_fault(spec->url);
	if (!fault)
		fault = method_fault(spec->method);
	for (size_t i = 0; !fault && spec->headers && spec->headers[i]; i++)
		fault = header_fault(spec->headers[i]);
	return fault ? fault : body_fault(req, spec);
}

/* ---- headers ---- */

static bool add_line(struct fetch *fetch, const char *line)
{
	struct curl_slist *lines = curl_slist_append(fetch->lines, line);

	if (lines)
		fetch->lines = lines;
	return lines;
}

/* One without a value is written with a semicolon: libcurl takes "Name:" as not to be sent. */
static bool add_header(struct fetch *fetch, const char *line)
{
	size_t name = token_length(line), blank = strspn(line + name + 1, " \t");

	if (line[name + 1 + blank])
		return add_line(fetch, line);
	char *empty = strndup(line, name + 1);
	bool added = false;

	if (empty) {
		empty[name] = ';';
		added = add_line(fetch, empty);
	}
	free(empty);
	return added;
}

/* Whether the headers hold one that libcurl would make by itself, of the form "Name:". */
static bool is_given(const struct ag_fetch_spec *spec, const char *start)
{
	for (size_t i = 0; spec->headers && spec->headers[i]; i++)
		if (strncasecmp(spec->headers[i], start, strlen(start)) == 0)
			return true;
	return false;
}

static bool add_headers(struct fetch *fetch)
{
	static const char *const unsaid[] = { "Accept:", "Content-Type:", "Expect:" };
	const struct ag_fetch_spec *spec = fetch->spec;

	for (size_t i = 0; spec->headers && spec->headers[i]; i++)
		if (!add_header(fetch, spec->headers[i]))
			return false;
	for (size_t i = 0; i < sizeof(unsaid) / sizeof(*unsaid); i++)
		if (!is_given(spec, unsaid[i]) && !add_line(fetch, unsaid[i]))
			return false;
	return true;
}

/* ---- the method and its body ---- */

/* RFC 9110 9.2.2 */
static bool is_idempotent(const char *method)
{
	static const char *const names[] = { "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strcmp(method, names[i]) == 0)
			return true;
	return false;
}

/* Bytes that the request's body still has, -1: nobody knows. */
static int64_t body_left(const struct ag_request *req)
{
	int64_t unread = (int64_t)(req->body_end - req->body_at) +
	                 (int64_t)(req->spool.last - req->spool.first);

	if (req->body_ended)
		return unread;
	return req->length < 0 ? -1 : req->length - (int64_t)req->body_received + unread;
}

/* As POST and the others with a body each have their own way to say its length. */
static void set_length(const struct fetch *fetch, bool post, int64_t length)
{
	if (post) {
		curl_easy_setopt(fetch->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(fetch->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
		if (!length)
			curl_easy_setopt(fetch->easy, CURLOPT_POSTFIELDS, "");
	} else {
		curl_easy_setopt(fetch->easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(fetch->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)length);
	}
}

static bool set_method(struct fetch *fetch)
{
	const struct ag_fetch_spec *spec = fetch->spec;
	int64_t length = spec->body_request ? body_left(fetch->req) : (int64_t)spec->body_size;
	const char *method = spec->method               ? spec->method
	                     : length && has_body(spec) ? "POST"
	                                                : "GET";
	bool post = strcmp(method, "POST") == 0;
	bool bodied = post || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
	CURLcode code = CURLE_OK;

	fetch->idempotent = is_idempotent(method);
	fetch->at = spec->body_request ? NULL : spec->body;
	fetch->left = spec->body_request ? 0 : spec->body_size;
	fetch->ended = !spec->body_request || !length;
	if (strcmp(method, "HEAD") == 0) {
		curl_easy_setopt(fetch->easy, CURLOPT_NOBODY, 1L);
		return true;
	}
	if (length || bodied)
		set_length(fetch, post, length);
	if (!post && strcmp(method, "GET") != 0)
		code = curl_easy_setopt(fetch->easy, CURLOPT_CUSTOMREQUEST, method);
	else if (!post && length)
		code = curl_easy_setopt(fetch->easy, CURLOPT_CUSTOMREQUEST, "GET");
	/* what can't be sent again is not sent where the peer may just be closing */
	if ((spec->body_request && length) || (!fetch->idempotent && !length))
		curl_easy_setopt(fetch->easy, CURLOPT_FRESH_CONNECT, 1L);
	return code == CURLE_OK;
}

/* ---- the rest ---- */

static void set_callbacks(struct fetch *fetch)
{
	CURL *easy = fetch->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, fetch_on_head);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, fetch_on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, fetch_on_input);
	curl_easy_setopt(easy, CURLOPT_READDATA, fetch);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, fetch_on_seek);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, fetch);
}

/* Whom it may talk to, and what that has to prove. */
static bool set_trust(const struct fetch *fetch)
{
	const struct ag_fetch_spec *spec = fetch->spec;
	CURL *easy = fetch->easy;

	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	/* without a directory libcurl keeps what it has read for the next connection */
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	if (spec->redirects) {
		curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
		curl_easy_setopt(easy, CURLOPT_MAXREDIRS,
		        spec->redirects < 100 ? (long)spec->redirects : 100L);
	}
	return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK &&
	       (!spec->ca_file ||
	               curl_easy_setopt(easy, CURLOPT_CAINFO, spec->ca_file) == CURLE_OK) &&
	       (!spec->socket ||
	               curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, spec->socket) == CURLE_OK);
}

bool fetch_prepare(struct fetch *fetch)
{
	const struct ag_fetch_spec *spec = fetch->spec;
	CURL *easy = fetch->easy;

	fetch->limit = spec->limit ? spec->limit : spec->take ? UINT64_MAX : LIMIT_USUALLY;
	set_callbacks(fetch);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* a name that is still looked up is not waited for at the end */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	/* several answers on one connection could not be held one by one */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
	        spec->connect_ms ? (long)spec->connect_ms : CONNECT_MS_USUALLY);
	return set_trust(fetch) && set_method(fetch) && add_headers(fetch) &&
	       curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->lines) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_URL, spec->url) == CURLE_OK;
}
