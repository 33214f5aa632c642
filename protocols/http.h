/* What http.c, http_head.c, http_chunk.c and http_answer.c share; nobody else includes this. */
#ifndef PROTOCOLS_HTTP_H
#define PROTOCOLS_HTTP_H

#include "protocol.h"

enum http_phase {
	HTTP_START,    /* a request line comes; empty lines before it are passed over */
	HTTP_REQUEST,  /* BEGIN was given, the line is still unread: its variables are next */
	HTTP_URI,      /* REQUEST_URI goes out in pieces: the target lacks its "/" */
	HTTP_FIELDS,   /* field lines come */
	HTTP_BODY,     /* `left` bytes of a body with Content-Length come */
	HTTP_CHUNK,    /* framing of a chunk comes: `chunk` says which */
	HTTP_DATA,     /* `left` bytes of a chunk come */
	HTTP_TRAILERS, /* field lines behind the last chunk come */
	HTTP_END,      /* all was read, END is next */
	HTTP_DONE,     /* END was given, the answer is not over */
	HTTP_REFUSED,  /* nothing more is understood: `status` and `reason` */
};

/* What the framing of chunks waits for (RFC 9112 7.1). */
enum chunk_state {
	CHUNK_BAD,    /* no way on */
	CHUNK_START,  /* the first digit */
	CHUNK_SIZE,   /* more digits, an extension or CR */
	CHUNK_BLANK,  /* blanks before ";" */
	CHUNK_NAME,   /* the first byte of an extension's name, blanks before it */
	CHUNK_NAMED,  /* more of the name */
	CHUNK_MIDDLE, /* blanks behind the name, before "=" or ";" */
	CHUNK_VALUE,  /* the first byte of a value, blanks before it */
	CHUNK_VALUED, /* more of a token */
	CHUNK_QUOTED, /* more of a quoted-string */
	CHUNK_ESCAPE, /* the byte behind a backslash in it */
	CHUNK_QUOTE,  /* what follows the closing quote */
	CHUNK_LF,     /* the LF that ends the line */
	CHUNK_CRLF,   /* the CR behind the data */
	CHUNK_CRLF_2, /* the LF behind that */
	CHUNK_DATA,   /* the line is complete */
	CHUNK_AGAIN,  /* the chunk is complete */
};

/* Fields that may come once. */
enum {
	SEEN_HOST = 1,
	SEEN_LENGTH = 2,
	SEEN_CODING = 4,
	SEEN_TYPE = 8,
};

/* The state of a connection. */
struct http {
	enum http_phase phase;
	enum chunk_state chunk;

	/* the line that begins at the unread bytes */
	size_t scanned;   /* bytes of it found to be good */
	size_t separator; /* offset behind its SP or colon; 0: none so far */

	/* the request line, once it was found to be good: see http_same_line */
	uint32_t target; /* bytes of the target, 0: not of a path */
	uint32_t query;  /* of those, bytes of the query */

	/* the head, or the trailers */
	size_t taken;    /* bytes of complete lines */
	unsigned fields; /* field lines */
	unsigned seen;   /* SEEN_... */

	uint64_t left;      /* bytes to come: of the body, or of this chunk */
	uint64_t body;      /* bytes of the chunks so far */
	uint64_t overhead;  /* bytes of their framing */
	uint16_t extension; /* bytes behind the size of this chunk */
	uint8_t digits;     /* of its size */

	uint8_t blank;  /* empty lines before the request line */
	uint8_t pieces; /* HTTP_URI: events given */

	bool old : 1;        /* HTTP/1.0 */
	bool absolute : 1;   /* the target has the authority, Host does not count */
	bool close : 1;      /* Connection: close */
	bool keep_alive : 1; /* Connection: keep-alive */
	bool expects : 1;    /* Expect: 100-continue that nobody has answered */
	bool keeps : 1;      /* the head is complete, and the peer takes another exchange */
	bool chunking : 1;   /* the answer goes out in chunks */
	bool ended : 1;      /* the answer is over, the request is not */

	uint16_t status;    /* HTTP_REFUSED: what to answer */
	const char *reason; /* the same in words */
};

/* A request line in parts. */
struct http_line {
	struct span method, version;
	struct span authority; /* empty but for an absolute target */
	struct span uri;       /* path and query as they came */
	struct span query;     /* without "?" */
	bool rootless;         /* `uri` has a query only: "/" belongs before it */
};

enum field_use {
	FIELD_BAD,  /* refused */
	FIELD_PASS, /* for the application */
	FIELD_DROP, /* not for the application */
};

/* Refuses the connection; false. */
bool http_refuse(struct http *http, int status, const char *reason);

/*
 * Refuses what begins with a byte that no method of today begins with, a small letter above all:
 * what follows a body by mistake is answered at once so, not when the time is up.
 */
bool http_method_begins(struct http *http, uint8_t first);

/* Takes a request line apart, refuses what isn't one (RFC 9112 3). `method` is its length. */
bool http_request_line(struct http *http, struct span line, size_t method, struct http_line *parts);

/* Takes it apart once more: it is good. */
void http_same_line(struct http *http, struct span line, size_t method, struct http_line *parts);

/* The number of the variable that a field becomes, whatever bytes its name has. */
enum var_id http_field_id(struct span name);

/*
 * Obeys a field that the decoder itself needs, refuses it where it is wrong. `plain`: its name is
 * known to be letters, digits and hyphens.
 */
enum field_use http_field(
        struct http *http, const struct limits *limits, const struct pair *field, bool plain);

/* Judges the head as a whole once its last line is there. */
bool http_head_complete(struct http *http);

/* Whether a connection that begins with this byte may be HTTP. */
bool http_sniff(uint8_t first);

/* What comes from here on is another protocol's: a body without end. */
void http_upgrade(void *state, uint16_t id);

/* The state of the next request, whatever this one was. */
void http_start_over(struct http *http);

/* The encoder's: see struct protocol. */
void http_write(void *state, uint16_t id, const struct portion *portion, struct writer *out);
bool http_keeps(const void *state, uint16_t id, const struct reply *reply);
uint64_t http_body_left(const void *state, uint16_t id);
void http_want_body(void *state, struct writer *out);

/* Reads framing of chunks until data or trailers follow, which `phase` says, or `in` is empty. */
void http_chunk(struct http *http, const struct limits *limits, struct span *in);

#endif
