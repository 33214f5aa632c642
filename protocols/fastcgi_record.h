/*
 * FastCGI records as they are written, and the answers that belong to no handler: to management
 * records and to refused requests. Sections are the specification's.
 */
#ifndef PROTOCOLS_FASTCGI_RECORD_H
#define PROTOCOLS_FASTCGI_RECORD_H

#include <endian.h>
#include <fastcgi.h>

#include "protocol.h"

/* Exchanges open on one connection; what GET_VALUES tells as FCGI_MAX_REQS. */
#define FASTCGI_OPEN_MAX 10

/* GET_VALUES must fit here: it is shown whole. Three known names need 48 bytes. */
#define FASTCGI_VALUES_MAX 8192

/* 3.3: a record's header; `length` bytes of content follow, and no padding. See put_bytes(). */
static inline uint8_t *fastcgi_put_record(uint8_t *at, uint8_t type, uint16_t id, size_t length)
{
	const uint16_t header[FCGI_HEADER_LEN / 2] = { htobe16(FCGI_VERSION_1 << 8 | type),
		htobe16(id), htobe16((uint16_t)length), 0 };

	return put_bytes(at, header, sizeof(header));
}

/* 5.5: a whole END_REQUEST; the application's status is 0. */
static inline uint8_t *fastcgi_put_end(uint8_t *at, uint16_t id, uint8_t protocol_status)
{
	const uint8_t body[8] = { 0, 0, 0, 0, protocol_status };

	at = fastcgi_put_record(at, FCGI_END_REQUEST, id, sizeof(body));
	return put_bytes(at, body, sizeof(body));
}

/* The same where a writer may be full. */
void fastcgi_write_record(struct writer *out, uint8_t type, uint16_t id, size_t length);
void fastcgi_write_end(struct writer *out, uint16_t id, uint8_t protocol_status);

/* 3.4: a length of one byte, or of four with the top bit set. False: not all of it is there. */
bool fastcgi_take_length(struct span *in, size_t *length);

/* ---- the event's `reply` ---- */

/* 4.1: what is asked for in a name-value list; false where the list does not end with a pair. */
bool fastcgi_reply_values(struct span list, struct wire_event *event);

/* 4.2 */
void fastcgi_reply_unknown_type(uint8_t type, struct wire_event *event);

/* 5.5: BEGIN_REQUEST can't be taken, the id is free again: FCGI_UNKNOWN_ROLE or FCGI_OVERLOADED. */
void fastcgi_reply_refused(uint16_t id, uint8_t protocol_status, struct wire_event *event);

#endif
