/*
 * The head of what a CGI program writes: header fields up to an empty line (RFC 3875 6.3). Bytes
 * in, fields out; it waits for nothing and sends nothing. Strict where a lax reading would let a
 * program's mistake become somebody else's header.
 */
#ifndef APP_HOST_CGI_HEAD_H
#define APP_HOST_CGI_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes and fields of a head; what is longer is no head. */
#define CGI_HEAD_MAX   32768
#define CGI_FIELDS_MAX 256

struct cgi_head {
	/* once parsed */
	int status;           /* 0: none was given */
	int64_t length;       /* Content-Length, -1: none */
	const char *type;     /* Content-Type, or NULL */
	const char *location; /* or NULL */
	size_t count;
	struct cgi_field {
		const char *name, *value;
	} fields[CGI_FIELDS_MAX]; /* the others, for the answer as they are */

	bool complete; /* its empty line has come */
	size_t used, line;
	char text[CGI_HEAD_MAX];
};

/* An empty head, ready to take bytes. */
void cgi_head_begin(struct cgi_head *head);

/*
 * Takes bytes up to the end of the head and sets `complete` there; what is left of them belongs to
 * the body. Lines end in LF or CRLF. Returns the number taken: fewer than `size` in an incomplete
 * head means that it is too long.
 */
size_t cgi_head_take(struct cgi_head *head, const char *data, size_t size);

/*
 * Takes a complete head apart. Returns NULL, or what is wrong with it. Fields about the connection,
 * which are not a program's business (6.3.4), and X-CGI-* (6.3.5) are left out.
 */
const char *cgi_head_parse(struct cgi_head *head);

#endif
