/*
 * What the application `status` shows. It knows no process and no counter: whoever loads it hands
 * over a source, as the daemon does for [admin].
 */
#ifndef APP_BUILTIN_STATUS_H
#define APP_BUILTIN_STATUS_H

#include "../anygate.h"

struct status_source {
	const void *data;

	/* Why no request is served now, in a word or more; NULL: they are. */
	const char *(*obstacle)(const void *data);

	/* Each writes a whole body, and returns the status. */
	int (*page)(const void *data, struct ag_request *req);    /* HTML */
	int (*json)(const void *data, struct ag_request *req);    /* RFC 8259 */
	int (*text)(const void *data, struct ag_request *req);    /* for `anygate status` */
	int (*metrics)(const void *data, struct ag_request *req); /* OpenMetrics 1.0 */
};

#endif
