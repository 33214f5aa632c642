/*
 * The variables that are known by number: those whose meaning somebody in anygate looks up, and
 * what stands in most requests; any other is VAR_OTHER. They are found by a hash of their length,
 * their sixth letter and their last but one, which stand here since C counts no letter of a
 * literal as a constant. No two may have the same: the compiler complains of an entry that is
 * initialised twice then. Names of less than eight letters are looked at one by one.
 */
#ifndef APP_ENV_NAMES_H
#define APP_ENV_NAMES_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* clang-format off */
#define ENV_SHORT_NAMES(X) X(SCGI) X(HTTPS) X(HTTP_TE)
#define ENV_NAMES(X) \
	X(HTTP_HOST, 'H', 'S') X(PATH_INFO, 'I', 'F') \
	X(REQUEST_ID, 'S', 'I') X(HTTP_PROXY, 'P', 'X') \
	X(REQUEST_URI, 'S', 'R') X(SERVER_NAME, 'R', 'M') X(SERVER_PORT, 'R', 'R') X(SERVER_ADDR, 'R', 'D') \
	X(SCRIPT_NAME, 'T', 'M') X(REMOTE_ADDR, 'E', 'D') X(REMOTE_PORT, 'E', 'R') X(HTTP_ACCEPT, 'A', 'P') \
	X(HTTP_COOKIE, 'C', 'I') X(HTTP_ORIGIN, 'O', 'I') X(HTTP_EXPECT, 'E', 'C') \
	X(CONTENT_TYPE, 'N', 'P') X(DOCUMENT_URI, 'E', 'R') X(QUERY_STRING, '_', 'N') \
	X(HTTP_REFERER, 'R', 'E') X(HTTP_UPGRADE, 'U', 'D') X(HTTP_TRAILER, 'T', 'E') \
	X(DOCUMENT_ROOT, 'E', 'O') \
	X(REQUEST_METHOD, 'S', 'O') X(REQUEST_SCHEME, 'S', 'M') X(CONTENT_LENGTH, 'N', 'T') \
	X(HTTP_X_REAL_IP, 'X', 'I') \
	X(SERVER_PROTOCOL, 'R', 'O') X(SERVER_SOFTWARE, 'R', 'R') X(HTTP_USER_AGENT, 'U', 'N') \
	X(REDIRECT_STATUS, 'E', 'U') X(SCRIPT_FILENAME, 'T', 'M') X(HTTP_CONNECTION, 'C', 'O') \
	X(HTTP_KEEP_ALIVE, 'K', 'V') \
	X(GATEWAY_INTERFACE, 'A', 'C') X(HTTP_CONTENT_TYPE, 'C', 'P') \
	X(HTTP_CACHE_CONTROL, 'C', 'O') X(HTTP_AUTHORIZATION, 'A', 'O') \
	X(HTTP_IF_NONE_MATCH, 'I', 'C') X(HTTP_CONTENT_LENGTH, 'C', 'T') \
	X(HTTP_ACCEPT_LANGUAGE, 'A', 'G') X(HTTP_ACCEPT_ENCODING, 'A', 'N') \
	X(HTTP_X_FORWARDED_FOR, 'X', 'O') X(HTTP_PROXY_CONNECTION, 'P', 'O') \
	X(HTTP_TRANSFER_ENCODING, 'T', 'N') X(HTTP_X_FORWARDED_PROTO, 'X', 'T') \
	X(HTTP_IF_MODIFIED_SINCE, 'I', 'C')
/* clang-format on */

#define ENV_ID(name, ...) VAR_##name,
enum var_id { VAR_OTHER, ENV_SHORT_NAMES(ENV_ID) ENV_NAMES(ENV_ID) VAR_COUNT };

/* A name in little-endian words: its first eight bytes, its last, and those from the ninth on. */
struct env_name {
	uint64_t head, tail;
	uint64_t middle; /* of a name with more than sixteen bytes */
	uint32_t length;
	enum var_id id;
};

extern const struct env_name env_names[VAR_COUNT];
extern const char *const env_texts[VAR_COUNT];

/*
 * The HTTP fields that become these variables, in small letters; one of less than eight has a head
 * alone. Two of HTTP_* become others (RFC 3875 4.1.2 and 4.1.3).
 */
extern const struct env_name env_fields[VAR_COUNT];

#define ENV_HASH(length, sixth, last_but_one) (((length)*9 + (sixth) + (last_but_one)*8) & 255)
extern const uint8_t env_places[256];

#define ENV_NAME_MIN 8  /* of the names that have a hash */
#define ENV_NAME_MAX 24 /* that three words cover */

static inline uint64_t env_word(const void *text)
{
	uint64_t word;

	memcpy(&word, text, sizeof(word));
	return le64toh(word);
}

/* Rare: names without a hash. */
enum var_id env_lookup_short(const void *name, size_t length);
enum var_id env_lookup_short_field(const void *name, size_t length);

/* The number of a variable's name. */
static inline enum var_id env_lookup(const void *name, size_t length)
{
	const uint8_t *text = name;

	if (length - ENV_NAME_MIN > ENV_NAME_MAX - ENV_NAME_MIN)
		return length < ENV_NAME_MIN ? env_lookup_short(name, length) : VAR_OTHER;
	unsigned id = env_places[ENV_HASH(length, text[5], text[length - 2])];
	const struct env_name *known = &env_names[id];
	uint64_t other = (known->length ^ length) | (known->head ^ env_word(text)) |
	                 (known->tail ^ env_word(text + length - 8));

	if (length > 16)
		other |= known->middle ^ env_word(text + 8);
	return other ? VAR_OTHER : (enum var_id)id;
}

/*
 * The number of the variable that an HTTP field becomes; of its name it is known that it has
 * letters, digits and hyphens only. Eight bytes must be readable from its beginning on.
 */
static inline enum var_id env_lookup_field(const void *name, size_t length)
{
	const uint64_t small = UINT64_C(0x2020202020202020);
	const uint8_t *text = name;

	if (length - 3 > ENV_NAME_MAX - 3)
		return env_lookup_short_field(name, length);
	unsigned hash = ENV_HASH(length + 5, text[0] & 0xdfu, text[length - 2] & 0xdfu);
	const struct env_name *known = &env_fields[env_places[hash]];
	uint64_t head = env_word(text) | small, other = known->length ^ length;

	if (length < 8) {
		other |= (known->head ^ head) << (64 - length * 8);
		return other ? VAR_OTHER : known->id;
	}
	other |= (known->head ^ head) | (known->tail ^ (env_word(text + length - 8) | small));
	if (length > 16)
		other |= known->middle ^ (env_word(text + 8) | small);
	return other ? VAR_OTHER : known->id;
}

#endif
