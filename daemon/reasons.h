/*
 * Why connections end and why requests are refused: one table of symbols and texts that the log,
 * the scoreboard and the metrics read.
 */
#ifndef DAEMON_REASONS_H
#define DAEMON_REASONS_H

#include <stdbool.h>

enum close_reason {
	CLOSE_NOT,
	CLOSE_ANSWERED,
	CLOSE_PEER,
	CLOSE_RESET,
	CLOSE_BAD,
	CLOSE_FOREIGN,
	CLOSE_UNTRUSTED,
	CLOSE_PROXY,
	CLOSE_HEADER_TIMEOUT,
	CLOSE_BODY_TIMEOUT,
	CLOSE_WRITE_TIMEOUT,
	CLOSE_BODY_RATE,
	CLOSE_WRITE_RATE,
	CLOSE_IDLE,
	CLOSE_LINGERED,
	CLOSE_DRAINED,
	CLOSE_CUT,
	CLOSE_MEMORY,
	CLOSE_REASON_COUNT,
};

/* A request that no handler sees, or a connection that is not taken; each counts one. */
enum refusal {
	REFUSAL_PROTOCOL,        /* 400, 501, 505: breaks the protocol's rules */
	REFUSAL_HEADER_SIZE,     /* 414, 431: limits.header_size */
	REFUSAL_VARIABLES,       /* 431: limits.variables */
	REFUSAL_BODY_SIZE,       /* 413: limits.body_size */
	REFUSAL_HEADER_TIMEOUT,  /* 408: limits.header_timeout */
	REFUSAL_BODY_TIMEOUT,    /* 408: limits.body_timeout, limits.body_rate */
	REFUSAL_DISK_FULL,       /* 507: no room for a body */
	REFUSAL_OPEN_REQUESTS,   /* 503: more FastCGI ids open than a connection may have */
	REFUSAL_ROLE,            /* UNKNOWN_ROLE */
	REFUSAL_CLIENT,          /* not one of allowed_clients */
	REFUSAL_SHED,            /* 503: shed_after */
	REFUSAL_STALE,           /* 503: stale_after */
	REFUSAL_REQUEST_TIMEOUT, /* 504: daemon.request_timeout */
	REFUSAL_COUNT,
};

struct reason {
	const char *symbol; /* a label in the metrics: "header_timeout" */
	const char *text;   /* for the log */
	bool is_error;
};

extern const struct reason close_reasons[CLOSE_REASON_COUNT];
extern const struct reason refusals[REFUSAL_COUNT];

#endif
