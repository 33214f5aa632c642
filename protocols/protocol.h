/*
 * The contract between a wire protocol and everything else.
 *
 * A protocol is one const struct of pure functions: bytes in, events out; answers in, bytes out. It
 * opens no descriptor, allocates nothing, logs nothing and knows no other protocol. Its state is
 * plain data of `state_size` bytes, owned by the connection (or by a test); zeroed means "at the
 * start of a connection".
 *
 * Decoding. The caller shows the bytes it has and pulls events until DECODE_MORE:
 *
 *	struct span in = { bytes, count };
 *	while ((result = protocol->decode(state, limits, &in, &event)) == DECODE_EVENT)
 *		...
 *
 * decode() takes what it is done with off the front of `in`. What it leaves when it wants more is
 * the beginning of something incomplete: the caller shows it again, with more bytes behind it. A
 * decoder remembers how far it has looked, so that this costs linear time. Any way of cutting the
 * same bytes gives the same events, but that a body may come in other pieces, and a variable whole
 * or as PAIR and PARTs.
 *
 * Every event belongs to an exchange: one request and its answer. `id` names it among those open on
 * the connection; a protocol without multiplexing calls it 1. An exchange gives, in this order:
 *
 *	BEGIN (VARIABLES | FIELDS | PAIR PART*)* HEAD BODY* END
 *
 * or is cut short by ABORT (the peer gave it up) or by BAD_EXCHANGE (this one broke the rules, the
 * rest of the connection is sound). REPLY may stand anywhere and belongs to no exchange.
 * DECODE_BAD says that the connection can't be understood from here on: `status` and `reason` of
 * the event say why, and decode() must not be called again. A status of 0: the peer would not
 * understand an answer, just close.
 *
 * A protocol without multiplexing does not begin the next exchange by itself: the caller stops
 * pulling after END until the answer has been sent.
 *
 * Encoding. Every exchange that began is ended by the caller. write() takes an answer in parts, or
 * as one, in this order:
 *
 *	the head  the status and the header fields
 *	the body  in pieces of at most `frame_max` bytes
 *	the end   what closes the answer; the decoder forgets the exchange: what the peer still
 *	          sends for it is passed over where the protocol can tell, and its id may be used
 *	          again
 *
 * The end alone, without a head, ends an exchange that gets no answer.
 *
 * Where the framing allows it the next exchange may follow; keeps() says whether the peer wants
 * that. The caller tells the head with `close` where it does not, and closes after the end then.
 */
#ifndef PROTOCOLS_PROTOCOL_H
#define PROTOCOLS_PROTOCOL_H

#include "../app/env_names.h"
#include "../app/limits.h"
#include "scan.h"

enum decode_result {
	DECODE_MORE,  /* `in` holds nothing complete any more */
	DECODE_EVENT, /* the event is set */
	DECODE_BAD,   /* the peer is wrong: answer event.status if the protocol can, then close */
};

enum event_kind {
	EVENT_BEGIN,        /* an exchange opens */
	EVENT_VARIABLES,    /* `count` CGI variables in `pairs` */
	EVENT_FIELDS,       /* `count` HTTP fields in `pairs`: checked, trimmed, not yet renamed */
	EVENT_PAIR,         /* a variable that comes in pieces: the two lengths of pairs[0] */
	EVENT_PART,         /* the next piece of it: its name, then its value, in `data` */
	EVENT_HEAD,         /* all variables are there */
	EVENT_BODY,         /* a piece of the body in `data`, never empty */
	EVENT_END,          /* the body is complete */
	EVENT_ABORT,        /* the peer no longer wants an answer */
	EVENT_BAD_EXCHANGE, /* refuse this exchange with `status`; others go on */
	EVENT_REPLY,        /* send `reply` as it is; it may refuse an exchange, or the next ones */
};

enum role {
	ROLE_RESPONDER,
	ROLE_AUTHORIZER, /* FastCGI 6.3 */
};

/* A name and its value where the peer put them; valid until the caller's buffer changes. */
struct pair {
	struct span name, value;
	enum var_id id; /* of the variable that it is, or becomes */
};

static inline struct pair pair_of(
        const uint8_t *name, size_t name_length, const uint8_t *value, size_t value_length)
{
	return (struct pair){ { name, name_length }, { value, value_length },
		env_lookup(name, name_length) };
}

#define EVENT_PAIRS     32
#define EVENT_REPLY_MAX 256

struct wire_event {
	enum event_kind kind;
	uint16_t id;
	enum role role; /* BEGIN */
	unsigned count; /* VARIABLES, FIELDS */
	struct pair pairs[EVENT_PAIRS];
	/* PART, BODY: the piece. VARIABLES, FIELDS: where all values stand, with their names but
	 * those that have a number; two bytes of framing or more are from the end of one value to
	 * the next, beside the name. Empty: they are apart */
	struct span data;
	int status;         /* BAD_EXCHANGE, DECODE_BAD: what to answer; REPLY: 0, or it refuses: */
	                    /* 501 a role, 503 one more open exchange */
	const char *reason; /* the same in words, for the log: a constant */
	size_t reply_length; /* REPLY */
	bool reply_closes;   /* REPLY: to the last exchange that the peer wants here */
	uint8_t reply[EVENT_REPLY_MAX];
};

static inline enum decode_result decode_event(
        struct wire_event *event, enum event_kind kind, uint16_t id)
{
	event->kind = kind;
	event->id = id;
	return DECODE_EVENT;
}

static inline enum decode_result decode_bad(
        struct wire_event *event, int status, const char *reason)
{
	event->status = status;
	event->reason = reason;
	return DECODE_BAD;
}

/* The head of an answer. */
struct reply {
	int status;
	struct span fields; /* "Name: value\r\n"... without framing and connection fields */
	int64_t length;     /* bytes of the body, or -1: not known before its end */
	bool bodiless;      /* no body may follow: HEAD, 204, 304 */
	bool close;         /* the connection closes after this answer */
	struct span date;   /* the time now as HTTP-date; for protocols whose gateway adds none */
};

/* A part of an answer. */
struct portion {
	const struct reply *reply; /* its head; NULL: that was written before, or there is none */
	struct span body;          /* the next piece of its body; may be empty */
	bool end;                  /* it ends here, and the exchange with it */
};

struct protocol {
	const char *name;  /* as configured: "fastcgi" */
	const char *pass;  /* nginx's directive for it */
	unsigned number;   /* its place in protocols[] */
	bool direct;       /* the peer speaks for itself: REMOTE_ADDR is its address */
	bool multiplexes;  /* several exchanges may be open at a time */
	size_t state_size; /* bytes of decoder state */
	size_t frame_max;  /* most bytes of one piece of body */

	/* Whether a connection that begins with this byte speaks the protocol. */
	bool (*sniff)(uint8_t first);

	enum decode_result (*decode)(void *state, const struct limits *limits, struct span *in,
	        struct wire_event *event);

	/* Writes a part; `out` must have portion_room() for it. */
	void (*write)(void *state, uint16_t id, const struct portion *portion, struct writer *out);

	/*
	 * Whether the peer takes another exchange after this one. Asked before the head, with what
	 * is to be its reply, as there are answers that only a close can end; or with NULL.
	 */
	bool (*keeps)(const void *state, uint16_t id, const struct reply *reply);

	/*
	 * What nginx takes as a reason not to use a connection again that it asked to keep; written
	 * behind the last end. NULL where a head can say that the connection closes.
	 */
	void (*bye)(struct writer *out);

	/* Bytes of body still to come for the exchange, or UINT64_MAX where that is not known. */
	uint64_t (*body_left)(const void *state, uint16_t id);

	/*
	 * Says that the handler wants the body, to a peer that waits for it (Expect:
	 * 100-continue); may be NULL.
	 */
	void (*want_body)(void *state, struct writer *out);

	/*
	 * The peer speaks another protocol from here on (RFC 9110 7.8); between END and the head
	 * with status 101. All that comes now is BODY, the answer has no frames, and no other
	 * exchange follows. NULL: the gateway can't pass that on.
	 */
	void (*upgrade)(void *state, uint16_t id);

	/*
	 * Tells the gateway a line that the application logs, between BEGIN and the end, before,
	 * behind or between pieces of the answer; may be NULL. The line has no control bytes, and
	 * less than frame_max of others.
	 */
	void (*log)(void *state, uint16_t id, struct span line, struct writer *out);
};

/* Most bytes that write() adds to a body and to reply.fields, with a head and without; and log().
 */
#define PROTOCOL_HEAD_MAX  512
#define PROTOCOL_FRAME_MAX 64

/* Where to put a part, or NULL: see write_room(). */
static inline uint8_t *portion_room(struct writer *out, const struct portion *portion)
{
	size_t head = portion->reply ? portion->reply->fields.length + PROTOCOL_HEAD_MAX
	                             : PROTOCOL_FRAME_MAX;

	return write_room(out, head + portion->body.length);
}

extern const struct protocol protocol_fastcgi, protocol_scgi, protocol_uwsgi, protocol_http;

/* All protocols in the order in which their first byte is tried, NULL at the end. */
extern const struct protocol *const protocols[];

/* By its configured name, or NULL. */
const struct protocol *protocol_find(const char *name);

/* By a connection's first byte, or NULL. */
const struct protocol *protocol_sniff(uint8_t first);

/* What a connection's first byte looks like, for the log: "TLS", "HTTP", ... */
const char *protocol_guess(uint8_t first);

#endif
