/* Status codes and their reasons: see ag_reason too. */
#ifndef APP_STATUS_H
#define APP_STATUS_H

#include <stddef.h>

/* "404 Not Found" and its length; NULL for a status that has no name. */
const char *status_line(int status, size_t *length);

#endif
