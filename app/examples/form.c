/*
 * A form: GET shows it, POST reads what was filled in and shows it again, escaped for HTML.
 *
 *	cc -shared -fPIC form.c -o form.so
 *	anygate -l http=127.0.0.1:8080 ./form.so
 *	curl -d 'name=you&colour=blue' http://127.0.0.1:8080/
 */
#include <anygate.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define LARGEST 65536 /* bytes of a form */

static int show_form(struct ag_request *req)
{
	ag_set_header(req, "Content-Type", "text/html; charset=utf-8");
	ag_puts(req, "<!DOCTYPE html>\n<title>Form</title>\n<form method=\"post\">\n"
	             "<label>Name <input name=\"name\"></label>\n"
	             "<label>Colour <input name=\"colour\"></label>\n"
	             "<button>Send</button>\n</form>\n");
	return 200;
}

/* Decodes "+" and "%XX" in place (application/x-www-form-urlencoded). */
static void decode(char *text)
{
	char *out = text;

	for (; *text; text++) {
		char hex[3] = { 0 };

		if (*text == '%' && isxdigit((unsigned char)text[1]) &&
		        isxdigit((unsigned char)text[2])) {
			memcpy(hex, text + 1, 2);
			*out++ = (char)strtol(hex, NULL, 16);
			text += 2;
		} else {
			*out++ = *text == '+' ? ' ' : *text;
		}
	}
	*out = '\0';
}

static void show_field(struct ag_request *req, char *field)
{
	char *value = strchr(field, '=');

	if (value)
		*value++ = '\0';
	decode(field);
	ag_puts(req, "<dt>");
	ag_html(req, field);
	ag_puts(req, "<dd>");
	if (value) {
		decode(value);
		ag_html(req, value);
	}
	ag_puts(req, "\n");
}

static int take_form(struct ag_request *req)
{
	char *form = ag_alloc(req, LARGEST + 1);
	size_t length = 0;
	ssize_t got;

	if (!form)
		return 500;
	while ((got = ag_read(req, form + length, LARGEST + 1 - length)) > 0)
		if ((length += (size_t)got) > LARGEST)
			return 413;
	if (got < 0)
		return 400;
	form[length] = '\0';
	ag_set_header(req, "Content-Type", "text/html; charset=utf-8");
	ag_puts(req, "<!DOCTYPE html>\n<title>Form</title>\n<dl>\n");
	for (char *field = form, *next; field; field = next) {
		next = strchr(field, '&');
		if (next)
			*next++ = '\0';
		if (*field)
			show_field(req, field);
	}
	ag_puts(req, "</dl>\n");
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/", show_form);
	ag_post(app, "/", take_form);
}
