#include "forwarded.h"

#include <arpa/inet.h>

/* Hops of Forwarded that are looked at, the nearest ones. */
#define HOPS_MAX 32

/* The longest name of a host (RFC 1035 2.3.4), and the longest form of an address. */
#define HOST_MAX 255

/* What the fields told. */
struct told {
	bool has_address;
	uint8_t address[16];
	struct span scheme, host; /* length 0: not told */
};

static struct span field(const struct env *env, const char *name)
{
	const struct var *var = env_find(env, name, strlen(name));

	if (!var)
		return (struct span){ NULL, 0 };
	return scan_trim((struct span){ (const uint8_t *)env_value(var), var->value_length });
}

/* ---- addresses ---- */

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool parse_ip(struct span text, int family, uint8_t address[16])
{
	char copy[INET6_ADDRSTRLEN];

	if (text.length >= sizeof(copy) || memchr(text.data, '\0', text.length))
		return false;
	memcpy(copy, text.data, text.length);
	copy[text.length] = '\0';
	if (family == AF_INET6)
		return inet_pton(AF_INET6, copy, address) == 1;
	memcpy(address, mapped, sizeof(mapped));
	return inet_pton(AF_INET, copy, address + sizeof(mapped)) == 1;
}

static bool is_port(struct span text)
{
	uint64_t port;

	return text.length <= 5 && scan_decimal(text, &port) && port > 0 && port <= UINT16_MAX;
}

/* Cuts "HOST", "HOST:PORT", "[V6]" and "[V6]:PORT"; `host` keeps its brackets. */
static bool split_port(struct span text, struct span *host, struct span *port)
{
	const uint8_t *colon;
	size_t at = 0;

	*host = text;
	*port = (struct span){ NULL, 0 };
	if (text.length && text.data[0] == '[') {
		const uint8_t *bracket = memchr(text.data, ']', text.length);

		if (!bracket)
			return false;
		at = (size_t)(bracket - text.data) + 1;
	}
	colon = at < text.length ? memchr(text.data + at, ':', text.length - at) : NULL;
	if (!colon)
		return at == 0 || at == text.length;
	host->length = (size_t)(colon - text.data);
	if (at && host->length != at)
		return false;
	span_take(&text, host->length + 1);
	*port = text;
	return is_port(text);
}

/* V4, V4:PORT, [V6], [V6]:PORT, as RFC 7239 6 writes a node. */
static bool parse_node(struct span text, uint8_t address[16])
{
	struct span host, port;

	if (!split_port(text, &host, &port) || !host.length)
		return false;
	if (host.data[0] != '[')
		return parse_ip(host, AF_INET, address);
	return parse_ip((struct span){ host.data + 1, host.length - 2 }, AF_INET6, address);
}

/* The same, and V6 without brackets, as X-Forwarded-For has it. */
static bool parse_hop(struct span text, uint8_t address[16])
{
	return text.length && (parse_ip(text, AF_INET6, address) || parse_node(text, address));
}

bool forwarded_is_trusted(const struct env *env, struct trust trust)
{
	const struct var *var = env_known(env, VAR_REMOTE_ADDR);
	uint8_t address[16];

	if (!var)
		return false;
	struct span text = { (const uint8_t *)env_value(var), var->value_length };

	if (span_is(text, "unix:"))
		return trust.has(trust.list, NULL);
	return parse_hop(text, address) && trust.has(trust.list, address);
}

/* Takes a hop; false: the walk ends with it. */
static bool take_hop(struct told *told, const uint8_t address[16], struct trust trust)
{
	memcpy(told->address, address, sizeof(told->address));
	told->has_address = true;
	return trust.has(trust.list, address);
}

/* ---- X-Forwarded-For ---- */

/* Takes the last element off a list. */
static struct span take_last(struct span *list)
{
	const uint8_t *comma = memrchr(list->data, ',', list->length);
	size_t at = comma ? (size_t)(comma - list->data) + 1 : 0;
	struct span last = { list->data + at, list->length - at };

	list->length = comma ? at - 1 : 0;
	return scan_trim(last);
}

static void walk_hops(struct told *told, struct span list, struct trust trust)
{
	uint8_t address[16];

	while (list.length && parse_hop(take_last(&list), address))
		if (!take_hop(told, address, trust))
			return;
}

/* ---- Forwarded (RFC 7239 4) ---- */

/*
 * Where the list's last elements begin, newest at `count` - 1 modulo HOPS_MAX. False where a quoted
 * string does not end: what is inside and what is outside can't be told then.
 */
static bool find_elements(struct span list, size_t begins[HOPS_MAX], size_t *count)
{
	bool quoted = false;

	begins[0] = 0;
	*count = 1;
	for (size_t i = 0; i < list.length; i++) {
		uint8_t c = list.data[i];

		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && c == ',')
			begins[(*count)++ % HOPS_MAX] = i + 1;
	}
	return !quoted;
}

/* A token or a quoted-string off the front. Escapes stay: no value we understand needs one. */
static bool take_value(struct span *in, struct span *value)
{
	size_t end = 0;

	if (in->length && in->data[0] == '"') {
		for (end = 1; end < in->length && in->data[end] != '"'; end++)
			if (in->data[end] == '\\')
				return false;
		if (end == in->length)
			return false;
		*value = (struct span){ in->data + 1, end - 1 };
		span_take(in, end + 1);
		return true;
	}
	while (end < in->length && grammar_tchar[in->data[end]])
		end++;
	*value = (struct span){ in->data, end };
	span_take(in, end);
	return end > 0;
}

/* One "name=value" and the ";" behind it. */
static bool take_pair(struct span *in, struct span *name, struct span *value)
{
	if (!in->length || in->data[0] == '"' || !take_value(in, name))
		return false;
	if (!in->length || in->data[0] != '=')
		return false;
	span_take(in, 1);
	if (!take_value(in, value))
		return false;
	*in = scan_trim(*in);
	if (!in->length)
		return true;
	if (in->data[0] != ';')
		return false;
	span_take(in, 1);
	*in = scan_trim(*in);
	return true;
}

/* Each parameter stands at most once in an element. */
static bool parse_element(struct span in, struct span *node, struct span *scheme, struct span *host)
{
	*node = *scheme = *host = (struct span){ NULL, 0 };
	while (in.length) {
		struct span name, value, *into = NULL;

		if (!take_pair(&in, &name, &value))
			return false;
		if (scan_same(name, "for"))
			into = node;
		else if (scan_same(name, "proto"))
			into = scheme;
		else if (scan_same(name, "host"))
			into = host;
		if (into && into->data)
			return false;
		if (into)
			*into = value;
	}
	return node->data || scheme->data || host->data;
}

/* From right to left. An element without an address, or with a hidden one ("unknown", "_x"), is a
 * hop that nobody can vouch for: it ends the walk. */
static void walk_elements(struct told *told, struct span list, struct trust trust)
{
	size_t begins[HOPS_MAX], count, end = list.length;

	if (!find_elements(list, begins, &count))
		return;
	for (size_t i = 0; i < HOPS_MAX && i < count; i++) {
		size_t begin = begins[(count - 1 - i) % HOPS_MAX];
		struct span node, scheme, host, one = { list.data + begin, end - begin };
		uint8_t address[16];

		if (!parse_element(scan_trim(one), &node, &scheme, &host))
			return;
		if (scheme.length)
			told->scheme = scheme;
		if (host.length)
			told->host = host;
		if (!parse_node(node, address) || !take_hop(told, address, trust))
			return;
		end = begin ? begin - 1 : 0;
	}
}

/* ---- what is made of it ---- */

/* A nearer source than Forwarded that is there, if malformed, keeps it out: a proxy that sets one
 * of them passes the others on as the client wrote them. */
static void learn(const struct env *env, struct told *told, struct trust trust)
{
	struct span hops = field(env, "HTTP_X_FORWARDED_FOR");
	struct span real = field(env, "HTTP_X_REAL_IP");
	struct span list = field(env, "HTTP_FORWARDED");
	struct span proto = field(env, "HTTP_X_FORWARDED_PROTO");
	struct span host = field(env, "HTTP_X_FORWARDED_HOST");

	if (hops.length)
		walk_hops(told, hops, trust);
	else if (real.length)
		told->has_address = parse_hop(real, told->address);
	else if (list.length)
		walk_elements(told, list, trust);
	if (!proto.length)
		proto = field(env, "HTTP_X_SCHEME");
	/* of a list what the nearest proxy, whom we trust, has seen */
	if (proto.length)
		told->scheme = take_last(&proto);
	if (host.length)
		told->host = take_last(&host);
}

static bool set_address(struct env *env, const uint8_t address[16])
{
	bool v4 = memcmp(address, mapped, sizeof(mapped)) == 0;
	char text[INET6_ADDRSTRLEN];

	if (!inet_ntop(v4 ? AF_INET : AF_INET6, address + (v4 ? sizeof(mapped) : 0), text,
	            sizeof(text)))
		return true;
	env_hide(env, VAR_REMOTE_PORT);
	return env_set(env, VAR_REMOTE_ADDR, text, strlen(text));
}

static bool set_scheme(struct env *env, struct span scheme)
{
	if (scan_same(scheme, "https"))
		return env_set(env, VAR_REQUEST_SCHEME, "https", 5) &&
		       env_set(env, VAR_HTTPS, "on", 2);
	if (!scan_same(scheme, "http"))
		return true;
	env_hide(env, VAR_HTTPS);
	return env_set(env, VAR_REQUEST_SCHEME, "http", 4);
}

/* A name of letters, digits, "-", ".", "_" and "~", or an address (RFC 3986 3.2.2). */
static bool is_host(struct span host)
{
	uint8_t address[16];

	if (!host.length || host.length > HOST_MAX)
		return false;
	if (host.data[0] == '[')
		return parse_ip((struct span){ host.data + 1, host.length - 2 }, AF_INET6, address);
	for (size_t i = 0; i < host.length; i++) {
		uint8_t c = host.data[i];
		bool is_name = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		               (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
		               c == '~';

		if (!is_name)
			return false;
	}
	return true;
}

static bool set_text(struct env *env, enum var_id id, struct span text)
{
	return env_set(env, id, (const char *)text.data, text.length);
}

/* The port: with the host's name, by itself, or, for a host without one, what its scheme means. */
static bool set_host(struct env *env, struct span text)
{
	struct span host, port, told = field(env, "HTTP_X_FORWARDED_PORT");
	const struct var *https = env_known(env, VAR_HTTPS);
	bool named = text.length && split_port(text, &host, &port) && is_host(host);

	if (named && !set_text(env, VAR_SERVER_NAME, host))
		return false;
	if (named && port.length)
		return set_text(env, VAR_SERVER_PORT, port);
	if (told.length)
		told = take_last(&told);
	if (is_port(told))
		return set_text(env, VAR_SERVER_PORT, told);
	bool secure = https && scan_same((struct span){ (const uint8_t *)env_value(https),
	                                         https->value_length },
	                               "on");

	return !named || env_set(env, VAR_SERVER_PORT, secure ? "443" : "80", secure ? 3 : 2);
}

static bool set_id(struct env *env)
{
	struct span id = field(env, "HTTP_X_REQUEST_ID");

	return !id.length || set_text(env, VAR_REQUEST_ID, id);
}

bool forwarded_apply(struct env *env, struct trust trust)
{
	struct told told = { 0 };

	if (!forwarded_is_trusted(env, trust))
		return true;
	learn(env, &told, trust);
	if (told.has_address && !set_address(env, told.address))
		return false;
	return set_scheme(env, told.scheme) && set_host(env, told.host) && set_id(env);
}
