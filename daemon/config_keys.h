/* The table of configuration keys and what its types can do; for config.c and options.c only. */
#ifndef DAEMON_CONFIG_KEYS_H
#define DAEMON_CONFIG_KEYS_H

#include "config.h"

enum section_id {
	SECTION_DAEMON,
	SECTION_LISTEN,
	SECTION_LIMITS,
	SECTION_LOG,
	SECTION_BUS,
	SECTION_ADMIN,
	SECTION_APP,
};
#define SECTION_COUNT (SECTION_APP + 1)

/* What stands for a password where it would be shown. */
#define SECRET_TEXT "***"

struct section {
	const char *name;
	bool named;       /* may be [NAME X] */
	const char *help; /* lines of comment for the template */
};

enum key_type {
	KEY_COUNT,       /* unsigned; "auto" is 0 */
	KEY_NICE,        /* int, -20 to 19 */
	KEY_NUMBER,      /* unsigned */
	KEY_SIZE,        /* size_t or uint64_t, bytes */
	KEY_LIMIT,       /* the same; "unchanged" is the type's maximum */
	KEY_TIME,        /* unsigned, ms */
	KEY_MODE,        /* unsigned, octal */
	KEY_SWITCH,      /* bool */
	KEY_LEVEL,       /* unsigned: index of a level's name */
	KEY_TEXT,        /* char *, NULL when empty */
	KEY_SECRET,      /* the same, printed as SECRET_TEXT */
	KEY_TEMPLATE,    /* char *, a log's format */
	KEY_MOUNT,       /* char *, begins with "/"; NULL when empty, where that may be */
	KEY_HOST,        /* char *, in lower case; "any" is NULL */
	KEY_PROTOCOL,    /* const struct protocol *; "auto" is NULL */
	KEY_ADDRESS,     /* char *address and `where` of a listen_config */
	KEY_ADMIN,       /* the same, for this host alone; NULL when "off" */
	KEY_REDIS,       /* char *redis and `where` of a bus_config; NULL when "off" */
	KEY_PEERS,       /* struct peers; appends */
	KEY_CPUS,        /* char *, a list of CPUs or "auto"; NULL when "off" */
	KEY_ENVIRONMENT, /* struct environment; appends */
};

struct key {
	enum section_id section;
	const char *name;
	size_t offset, width; /* of the field in the section's struct */
	enum key_type type;
	uint64_t min, max;    /* of integers, in the field's unit; `min` of text: its length */
	const char *standard; /* the default as it is written in a file */
	const char *help;     /* one line */
};

extern const struct section config_sections[SECTION_COUNT];
extern const struct key config_keys[];
extern const size_t config_key_count;

/* Whether setting the key again adds to it. */
static inline bool key_is_list(const struct key *key)
{
	return key->type == KEY_PEERS || key->type == KEY_ENVIRONMENT;
}

/* The key among those of its section, for listen_config.given. */
uint64_t key_bit(const struct key *key);

/* By name, or NULL. */
const struct key *key_find(enum section_id section, const char *name);

/*
 * Sets the field of `base`, the section's struct, from text. On failure `error` says what was
 * expected, and the field can still be cleared.
 */
bool key_parse(const struct key *key, void *base, const char *text, char *error, size_t size);

/* Writes "name = value" lines that key_parse takes back. */
void key_print(const struct key *key, const void *base, FILE *out);

/* Copies the field from one struct to another whose field is empty; false: no memory. */
bool key_copy(const struct key *key, void *to, const void *from);

/* Frees what the field owns and leaves it empty. */
void key_clear(const struct key *key, void *base);

/* Of HOST:PORT, :PORT, [V6]:PORT, unix:PATH, fd:N. */
bool address_parse(struct listen_address *where, const char *text, char *error, size_t size);

/* Whether nobody but this host reaches the address; true for what is not TCP. */
bool address_is_local(const struct listen_address *where);

/* Of one "ADDRESS" or "ADDRESS/BITS". */
bool cidr_parse(struct cidr *cidr, const char *text, char *error, size_t size);

/* The inverse of cidr_parse. */
#define CIDR_TEXT_MAX 64
void cidr_text(const struct cidr *cidr, char text[CIDR_TEXT_MAX]);

/* Looks for the name nearest to a misspelt one: set `wanted`, offer each name, read `best`. */
struct nearest {
	const char *wanted;
	const char *best; /* NULL: none is near enough */
	unsigned distance;
};

void nearest_offer(struct nearest *nearest, const char *name);

#endif
