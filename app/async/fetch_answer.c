/* What libcurl asks for and what it gives. It runs on the worker's own stack, or in fetcher_go_on
 * on the task's. */
#include <stdlib.h>
#include <string.h>

#include "fetch_private.h"

/* False: no memory. */
static bool text_add(struct fetch_text *text, const char *data, size_t size)
{
	size_t room = text->room ? text->room : 1024;

	while (room <= text->size + size) /* a NUL goes behind it */
		room *= 2;
	if (room > text->room) {
		char *more = realloc(text->data, room);

		if (!more)
			return false;
		text->data = more;
		text->room = room;
	}
	memcpy(text->data + text->size, data, size);
	text->size += size;
	text->data[text->size] = '\0';
	return true;
}

/* What a callback returns to end the fetch, whatever it was given. */
static size_t fail(struct fetch *fetch, int answer)
{
	fetch->failed = answer;
	return CURL_WRITEFUNC_ERROR;
}

/* ---- the head ---- */

static bool is_blank(char byte)
{
	return byte == ' ' || byte == '\t';
}

/* Without blanks and line ends around it. */
static const char *trim(const char *text, size_t *size)
{
	while (*size &&
	        (is_blank(text[*size - 1]) || text[*size - 1] == '\r' || text[*size - 1] == '\n'))
		--*size;
	while (*size && is_blank(*text)) {
		text++;
		--*size;
	}
	return text;
}

/* RFC 9112 5.2: a line that goes on with the last is joined to it by a blank. */
static bool add_folded(struct fetch_text *head, const char *line, size_t size)
{
	if (!head->size)
		return true;
	head->data[head->size - 1] = ' ';
	return text_add(head, line, size) && text_add(head, "", 1);
}

/* What is no field at all is passed over. */
static bool add_field(struct fetch_text *head, const char *line, size_t size)
{
	const char *colon = memchr(line, ':', size), *value;
	size_t name = colon ? (size_t)(colon - line) : 0, left;

	if (!name || memchr(line, '\0', size))
		return true;
	left = size - name - 1;
	value = trim(colon + 1, &left);
	return text_add(head, line, name) && text_add(head, "", 1) && text_add(head, value, left) &&
	       text_add(head, "", 1);
}

static bool has_field(const struct fetch *fetch, const char *name)
{
	const struct ag_fetch_result now = { .headers = fetch->head.data,
		.headers_size = fetch->head.size };
	const char *value = ag_fetch_header(&now, name);

	return value && *value;
}

/* Behind the last line of a head. It is the last one unless libcurl asks somebody else. */
static void end_head(struct fetch *fetch)
{
	long status = 0;

	fetch->head_ended = true;
	curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200)
		return;
	if (fetch->spec->redirects && status >= 300 && status < 400 &&
	        has_field(fetch, "Location")) {
		fetch->moved++;
		if (status == 303) /* the method we gave would stay */
			curl_easy_setopt(fetch->easy, CURLOPT_CUSTOMREQUEST, NULL);
		return;
	}
	fetch->head_came = true;
	if (fetch->spec->take)
		fetch_wake(fetch);
}

size_t fetch_on_head(char *line, size_t one, size_t size, void *argument)
{
	struct fetch *fetch = argument;
	size_t length = one * size;
	bool begins = length >= 5 && memcmp(line, "HTTP/", 5) == 0;

	if (fetch->head_came || (fetch->head_ended && !begins))
		return length; /* trailers */
	if (begins) {
		fetch->head.size = 0;
		fetch->head_ended = false;
		return length;
	}
	const char *text = line;

	size = length;
	text = trim(text, &size);
	if (!size) {
		end_head(fetch);
		return length;
	}
	if (fetch->head.size + size > FETCH_HEAD_MAX)
		return fail(fetch, AG_TOO_LARGE);
	bool added = is_blank(*line) ? add_folded(&fetch->head, text, size)
	                             : add_field(&fetch->head, text, size);

	return added ? length : fail(fetch, AG_NOMEM);
}

/* ---- the body ---- */

size_t fetch_on_body(char *data, size_t one, size_t size, void *argument)
{
	struct fetch *fetch = argument;

	size *= one;
	if (fetch->spec->take && fetch->body.size) {
		fetch->held = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	fetch->came += size;
	if (fetch->came > fetch->limit)
		return fail(fetch, AG_TOO_LARGE);
	if (!text_add(&fetch->body, data, size))
		return fail(fetch, AG_NOMEM);
	if (fetch->spec->take)
		fetch_wake(fetch);
	return size;
}

/* ---- what is sent ---- */

size_t fetch_on_input(char *to, size_t one, size_t room, void *argument)
{
	struct fetch *fetch = argument;
	size_t size = one * room;

	if (!fetch->left && !fetch->ended) {
		fetch->hungry = true;
		fetch_wake(fetch);
		return CURL_READFUNC_PAUSE;
	}
	if (size > fetch->left)
		size = fetch->left;
	memcpy(to, fetch->at, size);
	fetch->at += size;
	fetch->left -= size;
	return size;
}

/*
 * libcurl begins again: behind a redirect, or as the connection it used again was closed before any
 * answer. What was sent then may have been done already, RFC 9110 9.2.2.
 */
int fetch_on_seek(void *argument, curl_off_t offset, int origin)
{
	struct fetch *fetch = argument;
	const struct ag_fetch_spec *spec = fetch->spec;

	if (spec->body_request || offset || origin != SEEK_SET)
		return CURL_SEEKFUNC_FAIL;
	if (!fetch->idempotent && fetch->rewinds++ >= fetch->moved)
		return CURL_SEEKFUNC_FAIL;
	fetch->at = spec->body;
	fetch->left = spec->body_size;
	return CURL_SEEKFUNC_OK;
}
