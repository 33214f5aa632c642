/* The characters of HTTP (RFC 9110 5): one set of tables for requests and answers. */
#ifndef APP_GRAMMAR_H
#define APP_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>

/* tchar of RFC 9110 5.6.2. */
extern const bool grammar_tchar[256];

/* What may stand in a field's value (RFC 9110 5.5): no control byte but the tab. */
extern const bool grammar_value[256];

/* True for one or more tchar. */
bool grammar_is_token(const char *text, size_t length);

/* True for text that may stand as a field's value; "" may. */
bool grammar_is_value(const char *text);

#endif
