/* Which extension is spoken (RFC 6455 9.1, RFC 7692 5 and 7.1): permessage-deflate or none. */
#include <string.h>
#include <strings.h>

#include "websocket_private.h"

struct text {
	const char *at;
	size_t length;
};

/* ---- the grammar ---- */

static void skip_blanks(const char **at)
{
	*at += strspn(*at, " \t");
}

static bool take_mark(const char **at, char mark)
{
	skip_blanks(at);
	if (**at != mark)
		return false;
	++*at;
	skip_blanks(at);
	return true;
}

static bool take_token(const char **at, struct text *token)
{
	static const char stops[] = "()<>@,;:\\\"/[]?={} \t";

	token->at = *at;
	token->length = strcspn(*at, stops);
	*at += token->length;
	return token->length > 0;
}

/* A token, perhaps in quotes. */
static bool take_value(const char **at, struct text *value)
{
	bool quoted = **at == '"';

	*at += quoted;
	if (!take_token(at, value) || (quoted && **at != '"'))
		return false;
	*at += quoted;
	return true;
}

static bool is(const struct text *text, const char *name)
{
	return text->length == strlen(name) && strncasecmp(text->at, name, text->length) == 0;
}

/* ---- an offer ---- */

struct offer {
	unsigned given; /* bits of the table's rows */
	int window;     /* of what we send */
};

enum value { VALUE_NONE, VALUE_NEEDED, VALUE_ALLOWED };

static const struct {
	const char *name;
	enum value value;
} parameters[] = {
	{ "server_no_context_takeover", VALUE_NONE },
	{ "client_no_context_takeover", VALUE_NONE },
	{ "server_max_window_bits", VALUE_NEEDED },
	{ "client_max_window_bits", VALUE_ALLOWED },
};

#define SERVER_WINDOW 2 /* its row */

/* 8 to 15, without leading zeros (7.1.2); or 0. */
static int window_bits(const struct text *value)
{
	if (value->length == 1 && value->at[0] >= '8' && value->at[0] <= '9')
		return value->at[0] - '0';
	if (value->length == 2 && value->at[0] == '1' && value->at[1] >= '0' && value->at[1] <= '5')
		return 10 + value->at[1] - '0';
	return 0;
}

/* Each may be given once. */
static bool take_parameter(struct offer *offer, const struct text *name, const struct text *value)
{
	size_t row = 0;

	while (row < sizeof(parameters) / sizeof(*parameters) && !is(name, parameters[row].name))
		row++;
	if (row == sizeof(parameters) / sizeof(*parameters) || offer->given & 1U << row)
		return false;
	offer->given |= 1U << row;
	if (!value->length)
		return parameters[row].value != VALUE_NEEDED;
	int bits = window_bits(value);

	if (parameters[row].value == VALUE_NONE || !bits)
		return false;
	if (row == SERVER_WINDOW)
		offer->window = bits;
	return offer->window > 8; /* zlib packs with no less */
}

/* One of the list. False: it breaks the grammar. `*good`: we speak it. */
static bool take_offer(const char **at, struct offer *offer, bool *good)
{
	struct text extension;

	*offer = (struct offer){ .window = 15 };
	if (!take_token(at, &extension))
		return false;
	*good = is(&extension, "permessage-deflate");
	while (take_mark(at, ';')) {
		struct text name, value = { NULL, 0 };

		if (!take_token(at, &name) || (take_mark(at, '=') && !take_value(at, &value)))
			return false;
		*good = *good && take_parameter(offer, &name, &value);
	}
	return true;
}

int websocket_negotiate(const char *list)
{
	struct offer offer;
	bool good;

	skip_blanks(&list);
	while (*list) {
		if (take_mark(&list, ','))
			continue;
		if (!take_offer(&list, &offer, &good) || (*list && *list != ','))
			return 0;
		if (good)
			return offer.window;
	}
	return 0;
}
