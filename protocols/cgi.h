/*
 * What all gates share: which variables are refused, dropped, merged and trimmed before anyone
 * gives them a meaning (RFC 3875 4.1), and how answers begin.
 */
#ifndef PROTOCOLS_CGI_H
#define PROTOCOLS_CGI_H

#include "../app/env.h"
#include "protocol.h"

/* Why a head was refused: 0 and NULL, or a status (400, 413, 431) and its reason in words. */
struct verdict {
	int status;
	const char *reason;
};

/* Puts the variables of one event into `env`. */
struct verdict cgi_take(struct env *env, const struct wire_event *event);

/*
 * Called once when all variables are there: refuses what must not reach a handler, hides the
 * names that are dropped, merges repeated fields. CONTENT_LENGTH comes out as digits or absent.
 */
struct verdict cgi_check(struct env *env, const struct limits *limits);

/* CONTENT_LENGTH as FastCGI, SCGI and uwsgi send it: digits; "" counts as 0 where `empty_ok`. */
bool cgi_length(struct span text, bool empty_ok, uint64_t *length);

/* For protocols whose body is CONTENT_LENGTH bytes, `left` of them to come: BODY, then END. */
enum decode_result cgi_decode_body(uint64_t *left, struct span *in, struct wire_event *event);

/*
 * A part of an answer as CGI programs write it (RFC 3875 6.3), without framing: a line of `name`
 * ("Status: " or "HTTP/1.1 ") and the status, the fields with Content-Length, an empty line, and
 * the body. No Transfer-Encoding, no Connection: the connection to the client is the gateway's.
 */
void cgi_write(const struct portion *portion, struct span name, struct writer *out);

/* Parts of it: "404 Not Found" and the line's end, and the fields; see put_bytes(). */
uint8_t *cgi_put_status(uint8_t *at, int status);
uint8_t *cgi_put_fields(uint8_t *at, const struct reply *reply);

/* For protocols with one exchange for each connection. */
bool cgi_never_keeps(const void *state, uint16_t id, const struct reply *reply);

#endif
