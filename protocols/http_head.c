/*
 * The head of an HTTP/1 request: its first line (RFC 9112 3), the authority in it or in Host
 * (RFC 9110 4.2 and 7.2), and the fields that frame a message or steer the connection.
 */
#include <arpa/inet.h>

#include "http.h"

bool http_refuse(struct http *http, int status, const char *reason)
{
	http->phase = HTTP_REFUSED;
	http->status = (uint16_t)status;
	http->reason = reason;
	http->keeps = false;
	return false;
}

/* Takes what stands before the first `byte` off the front: all of it if there is none. */
static struct span take_until(struct span *text, uint8_t byte)
{
	const uint8_t *found = text->length > 0 ? memchr(text->data, byte, text->length) : NULL;
	struct span taken = { text->data, text->length };

	if (found != NULL)
		taken.length = (size_t)(found - text->data);
	span_take(text, taken.length);
	return taken;
}

static bool contains(struct span text, uint8_t byte)
{
	return text.length > 0 && memchr(text.data, byte, text.length) != NULL;
}

static bool is_hex(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

/* IPv6address in brackets (RFC 3986 3.2.2). */
static bool is_ipv6(struct span text)
{
	char copy[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (text.length < 4 || text.length - 2 >= sizeof copy || contains(text, '\0'))
		return false;
	memcpy(copy, text.data + 1, text.length - 2);
	copy[text.length - 2] = '\0';
	return text.data[text.length - 1] == ']' && inet_pton(AF_INET6, copy, &address) == 1;
}

/* reg-name without the comma, which would be two Host fields in one (RFC 3986 3.2.2). */
static bool is_name(struct span text)
{
	/* unreserved and sub-delims */
	static const bool good[256] = { ['0' ... '9'] = true,
		['A' ... 'Z'] = true,
		['a' ... 'z'] = true,
		['-'] = true,
		['.'] = true,
		['_'] = true,
		['~'] = true,
		['!'] = true,
		['$'] = true,
		['&' ... '+'] = true, /* & ' ( ) * + */
		[';'] = true,
		['='] = true };

	for (size_t i = 0; i < text.length; i++) {
		if (good[text.data[i]])
			continue;
		if (text.data[i] != '%' || text.length - i < 3 || !is_hex(text.data[i + 1]) ||
		        !is_hex(text.data[i + 2]))
			return false;
	}
	return true;
}

/* host [ ":" port ]; no userinfo (RFC 9110 4.2.4). */
static bool is_authority(struct span text)
{
	struct span host = text;
	uint64_t port = 0;

	if (text.length > 0 && text.data[0] == '[') {
		host = take_until(&text, ']');
		if (text.length == 0)
			return false;
		span_take(&text, 1);
		host.length++;
		if (!is_ipv6(host))
			return false;
	} else {
		host = take_until(&text, ':');
		if (!is_name(host))
			return false;
	}
	if (text.length == 0)
		return true;
	if (*span_take(&text, 1) != ':' || host.length == 0)
		return false;
	return text.length == 0 || (scan_decimal(text, &port) && port <= 65535);
}

/* Splits the query off; `uri` stays whole. */
static bool take_uri(struct http *http, struct span uri, struct http_line *parts)
{
	struct span query = uri;
	struct span path = take_until(&query, '?');

	if (contains(uri, '#') || contains(uri, '\t') || contains(path, '\\'))
		return http_refuse(http, 400, "bad byte in the request target");
	if (query.length > 0)
		span_take(&query, 1);
	parts->uri = uri;
	parts->query = query;
	return true;
}

/* absolute-form: the authority in it wins over Host (RFC 9112 3.2.2). */
static bool take_absolute(struct http *http, struct span target, struct http_line *parts)
{
	static const struct span root = { (const uint8_t *)"/", 1 };
	struct span rest = target;
	struct span scheme = take_until(&rest, ':');
	size_t length = 0;

	if (!scan_same(scheme, "http") && !scan_same(scheme, "https"))
		return http_refuse(http, 400, "request target is no path");
	if (rest.length < 3 || memcmp(rest.data, "://", 3) != 0)
		return http_refuse(http, 400, "request target is no path");
	span_take(&rest, 3);
	while (length < rest.length && rest.data[length] != '/' && rest.data[length] != '?')
		length++;
	parts->authority = (struct span){ span_take(&rest, length), length };
	if (length == 0 || !is_authority(parts->authority))
		return http_refuse(http, 400, "bad authority in the request target");
	parts->rootless = rest.length > 0 && rest.data[0] == '?';
	return take_uri(http, rest.length > 0 ? rest : root, parts);
}

/* RFC 9112 3.2. */
static bool take_target(struct http *http, struct span target, struct http_line *parts)
{
	if (span_is(parts->method, "CONNECT"))
		return http_refuse(http, 501, "CONNECT");
	if (target.length > 0 && target.data[0] == '/')
		return take_uri(http, target, parts);
	if (!span_is(target, "*"))
		return take_absolute(http, target, parts);
	if (!span_is(parts->method, "OPTIONS"))
		return http_refuse(http, 400, "* is for OPTIONS only");
	return take_uri(http, target, parts);
}

/* "HTTP/" DIGIT "." DIGIT; a higher minor version counts as 1.1 (RFC 9110 2.5). */
static bool take_version(struct http *http, struct span version)
{
	const uint8_t *at = version.data;

	if (version.length != 8 || memcmp(at, "HTTP/", 5) != 0 || at[6] != '.' ||
	        (unsigned)at[5] - '0' > 9 || (unsigned)at[7] - '0' > 9)
		return http_refuse(http, 400, "bad HTTP version");
	if (at[5] != '1')
		return http_refuse(http, 505, "HTTP version is not 1.x");
	http->old = at[7] == '0';
	return true;
}

bool http_method_begins(struct http *http, uint8_t first)
{
	if (!grammar_tchar[first] || (first >= 'A' && first <= 'Z'))
		return true;
	return http_refuse(http, 501, "method begins with no capital letter");
}

bool http_request_line(struct http *http, struct span line, size_t method, struct http_line *parts)
{
	struct span target;

	*parts = (struct http_line){ .method = { line.data, method } };
	span_take(&line, method + 1);
	target = take_until(&line, ' ');
	if (line.length == 0)
		return http_refuse(http, 400, "request line without a version");
	span_take(&line, 1);
	parts->version = line;
	if (!take_version(http, line) || !take_target(http, target, parts))
		return false;
	http->target = parts->uri.data == target.data ? (uint32_t)target.length : 0;
	http->query = (uint32_t)parts->query.length;
	return true;
}

void http_same_line(struct http *http, struct span line, size_t method, struct http_line *parts)
{
	const uint8_t *uri = line.data + method + 1;

	if (!http->target) {
		http_request_line(http, line, method, parts);
		return;
	}
	*parts = (struct http_line){ .method = { line.data, method },
		.uri = { uri, http->target },
		.query = { uri + http->target - http->query, http->query },
		.version = { uri + http->target + 1, 8 } };
}

static bool obey_host(struct http *http, struct span value)
{
	return is_authority(value) || http_refuse(http, 400, "bad Host");
}

/* RFC 9112 6.3: a message has one length. */
static bool obey_length(struct http *http, struct span value)
{
	if (http->seen & SEEN_CODING)
		return http_refuse(http, 400, "Content-Length and Transfer-Encoding");
	return scan_decimal(value, &http->left) || http_refuse(http, 400, "bad Content-Length");
}

/* RFC 9112 6.1. */
static bool obey_coding(struct http *http, struct span value)
{
	if (http->seen & SEEN_LENGTH)
		return http_refuse(http, 400, "Content-Length and Transfer-Encoding");
	if (http->old)
		return http_refuse(http, 400, "Transfer-Encoding in HTTP/1.0");
	return scan_same(value, "chunked") || http_refuse(http, 400, "bad Transfer-Encoding");
}

/* A list of options, of which two matter (RFC 9110 7.6.1, RFC 9112 9.3). */
static bool obey_connection(struct http *http, struct span value)
{
	while (value.length > 0) {
		struct span option = scan_trim(take_until(&value, ','));

		if (value.length > 0)
			span_take(&value, 1);
		if (scan_same(option, "close"))
			http->close = true;
		else if (scan_same(option, "keep-alive"))
			http->keep_alive = true;
	}
	return true;
}

/* RFC 9110 10.1.1: not for HTTP/1.0. */
static bool obey_expect(struct http *http, struct span value)
{
	if (http->old)
		return true;
	http->expects = scan_same(value, "100-continue");
	return http->expects || http_refuse(http, 417, "unknown expectation");
}

static bool obey_nothing(struct http *http, struct span value)
{
	(void)http, (void)value;
	return true;
}

/* Those that the decoder itself needs, by the variables that they become. */
static const struct field_rule {
	unsigned once; /* SEEN_..., or 0: may be repeated */
	bool (*obey)(struct http *http, struct span value);
	const char *repeated;
} rules[VAR_COUNT] = {
	[VAR_HTTP_HOST] = { SEEN_HOST, obey_host, "two Host" },
	[VAR_CONTENT_LENGTH] = { SEEN_LENGTH, obey_length, "two Content-Length" },
	[VAR_HTTP_TRANSFER_ENCODING] = { SEEN_CODING, obey_coding, "two Transfer-Encoding" },
	[VAR_CONTENT_TYPE] = { SEEN_TYPE, obey_nothing, "two Content-Type" },
	[VAR_HTTP_CONNECTION] = { 0, obey_connection, NULL },
	[VAR_HTTP_EXPECT] = { 0, obey_expect, NULL },
};

/* With an underscore these would become variables that other fields decide. */
static bool is_disguised(struct span name)
{
	return scan_same(name, "content_length") || scan_same(name, "content_type") ||
	       scan_same(name, "transfer_encoding");
}

/* X_Foo and X.Foo would become the same variable as X-Foo: such names are dropped, but X_Foo where
 * underscores are wanted. */
static bool is_plain(struct span name, bool underscores)
{
	static const bool plain[256] = {
		['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['-'] = true
	};

	for (size_t i = 0; i < name.length; i++)
		if (!plain[name.data[i]] && !(underscores && name.data[i] == '_'))
			return false;
	return !underscores || !is_disguised(name);
}

enum var_id http_field_id(struct span name)
{
	char text[ENV_NAME_MAX + 8] = { 0 };

	if (name.length > ENV_NAME_MAX || !is_plain(name, false))
		return VAR_OTHER;
	memcpy(text, name.data, name.length);
	return env_lookup_field(text, name.length);
}

enum field_use http_field(
        struct http *http, const struct limits *limits, const struct pair *field, bool plain)
{
	const struct field_rule *rule = &rules[field->id];

	if (!rule->obey)
		return plain || is_plain(field->name, limits->underscores) ? FIELD_PASS
		                                                           : FIELD_DROP;
	if (http->seen & rule->once) {
		http_refuse(http, 400, rule->repeated);
		return FIELD_BAD;
	}
	http->seen |= rule->once;
	if (!rule->obey(http, field->value))
		return FIELD_BAD;
	if (rule->once == SEEN_CODING || (rule->once == SEEN_HOST && http->absolute))
		return FIELD_DROP;
	return FIELD_PASS;
}

bool http_head_complete(struct http *http)
{
	bool body = (http->seen & SEEN_CODING) || http->left > 0;

	if (!http->old && !(http->seen & SEEN_HOST))
		return http_refuse(http, 400, "no Host");
	http->expects = http->expects && body;
	http->keeps = !http->close && (!http->old || http->keep_alive);
	http->chunk = CHUNK_START;
	if (http->seen & SEEN_CODING)
		http->phase = HTTP_CHUNK;
	else
		http->phase = body ? HTTP_BODY : HTTP_END;
	return true;
}

/* The first byte of a method, or of an empty line before it. No method begins with a digit. */
bool http_sniff(uint8_t first)
{
	if (first >= '0' && first <= '9')
		return false;
	return grammar_tchar[first] || first == '\r' || first == '\n';
}

void http_upgrade(void *state, uint16_t id)
{
	struct http *http = state;

	(void)id;
	http->phase = HTTP_BODY;
	http->left = UINT64_MAX;
	http->keeps = false;
}
