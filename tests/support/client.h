/*
 * A client that waits, but never for ever: it reads while it sends, so an early answer does not
 * block it. It knows HTTP/1.1, and the three CGI gates' wire formats on its own, apart from the
 * daemon's decoders.
 */
#ifndef TESTS_SUPPORT_CLIENT_H
#define TESTS_SUPPORT_CLIENT_H

#include "support.h"

struct client {
	int fd;
	const char *out; /* still to be sent */
	size_t out_left;
	struct bytes in; /* received and not yet taken; never NULL while it is open */
	bool eof;        /* the peer has closed */
	bool reset;      /* ... by a reset, or it took no more of what we sent */
	int64_t deadline;
};

/* Connects to "HOST:PORT", "[V6]:PORT" or "unix:PATH"; fails the test if nobody listens. */
void client_open(struct client *client, const char *address);
void client_close(struct client *client);

/* Hands over what client_fill is to send; `data` must stay until then. */
void client_send(struct client *client, const void *data, size_t length);

/* Sends all of it now, reading meanwhile. */
void client_flush(struct client *client);

/* Waits for more input, sending meanwhile. False at the end of the connection. */
bool client_fill(struct client *client);

/* Reads to the end of the connection. */
void client_read_all(struct client *client);

/* Drops the first bytes of what was received. */
void client_take(struct client *client, size_t length);

#define RESPONSE_FIELDS 64

struct response {
	int status; /* 0: no answer that could be understood */
	struct {
		const char *name, *value;
	} fields[RESPONSE_FIELDS]; /* in `head` */
	size_t field_count;
	char *head;
	size_t head_length;
	struct bytes body;   /* never NULL */
	bool whole;          /* the body came to its end as announced */
	struct bytes stderr; /* FastCGI's */
	int app_status;      /* FastCGI's, both of END_REQUEST; without one -1 */
	int protocol_status;
};

/* The first field of this name, whatever its case, or "". */
const char *response_field(const struct response *response, const char *name);
void response_free(struct response *response);

/* Parses a header section of `length` bytes behind the status line. */
void response_head(struct response *response, const char *fields, size_t length);

/* Reads one HTTP response; `method` says whether a body may follow. */
void client_response(struct client *client, const char *method, struct response *response);

/*
 * One HTTP/1.1 request on a connection of its own. `fields` are whole "Name: value\r\n" lines, or
 * NULL; Host is sent unless they hold it, Content-Length where there is a body.
 */
void http_request(const char *address, const char *method, const char *target, const char *fields,
        const void *body, size_t length, struct response *response);
void http_get(const char *address, const char *target, struct response *response);

/* A GET has to be answered with this status and, unless it is NULL, this body. */
void http_check(const char *address, const char *target, int status, const char *body);

/* Sends a GET on a connection that is open, and reads nothing. */
void http_ask(struct client *client, const char *target);

/* The same as bytes, for those who send it themselves. */
void http_build(struct bytes *out, const char *method, const char *target, const char *fields,
        const void *body, size_t length);

/* ---- the gates (gates.c) ---- */

/* CGI variables: NAME, VALUE, ..., NULL. CONTENT_LENGTH is added from the body. */
typedef const char *const gate_variables[];

void scgi_build(struct bytes *out, gate_variables variables, const void *body, size_t length);
void uwsgi_build(struct bytes *out, gate_variables variables, const void *body, size_t length);

#define FASTCGI_BEGIN  1
#define FASTCGI_ABORT  2
#define FASTCGI_PARAMS 4
#define FASTCGI_STDIN  5
#define FASTCGI_VALUES 9
#define FASTCGI_KEEP   1

/* One record; `length` up to 65535. */
void fastcgi_record(
        struct bytes *out, unsigned type, unsigned id, const void *content, size_t length);
/* BEGIN_REQUEST (role 1 responder, 2 authorizer) and the whole of PARAMS. */
void fastcgi_open(
        struct bytes *out, unsigned id, unsigned role, unsigned flags, gate_variables variables);

/* A responder's request with its body. */
void fastcgi_build(struct bytes *out, unsigned id, unsigned flags, gate_variables variables,
        const void *body, size_t length);

/* Reads records until the exchange `id` ends, or the connection does; STDOUT becomes the body. */
void fastcgi_records(struct client *client, unsigned id, struct response *response);

/* The same, STDOUT being a whole answer or nothing. */
void fastcgi_response(struct client *client, unsigned id, struct response *response);

/* One request by "fastcgi", "scgi", "uwsgi" or "http", and the answer to it. */
void gate_request(const char *protocol, const char *address, gate_variables variables,
        const void *body, size_t length, struct response *response);

/* The same in two steps; the second closes the connection. */
void gate_ask(const char *protocol, const char *address, gate_variables variables, const void *body,
        size_t length, struct client *client);
/* The first step for a GET by HTTP/1.1. */
void gate_ask_for(
        const char *protocol, const char *address, const char *target, struct client *client);
void gate_answer(const char *protocol, struct client *client, struct response *response);

/* The first step for "/?QUERY", which is a POST if there is a body. */
void gate_ask_query(const char *protocol, const char *address, const char *query, const char *body,
        struct client *client);

/* Both steps; the answer has to be 200 and what is `wanted`, so many times. */
void gate_check_query(const char *protocol, const char *address, const char *query,
        const char *body, const char *wanted, unsigned times);

#endif
