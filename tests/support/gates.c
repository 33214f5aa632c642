/* The wire formats of the CGI gates, written again from their specifications. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"

/* ---- requests ---- */

void scgi_build(struct bytes *out, gate_variables variables, const void *body, size_t length)
{
	struct bytes head = { 0 };

	bytes_printf(&head, "CONTENT_LENGTH%c%zu%c", 0, length, 0);
	for (size_t i = 0; variables[i]; i++)
		bytes_add(&head, variables[i], strlen(variables[i]) + 1);
	bytes_printf(&head, "SCGI%c1%c", 0, 0);
	bytes_printf(out, "%zu:", head.length);
	bytes_add(out, head.data, head.length);
	bytes_text(out, ",");
	bytes_add(out, body, length);
	bytes_free(&head);
}

static void uwsgi_text(struct bytes *out, const char *text)
{
	size_t length = strlen(text);

	bytes_add(out, (char[]){ (char)length, (char)(length >> 8) }, 2);
	bytes_add(out, text, length);
}

void uwsgi_build(struct bytes *out, gate_variables variables, const void *body, size_t length)
{
	struct bytes pairs = { 0 };
	char number[24];

	snprintf(number, sizeof number, "%zu", length);
	uwsgi_text(&pairs, "CONTENT_LENGTH");
	uwsgi_text(&pairs, number);
	for (size_t i = 0; variables[i]; i++)
		uwsgi_text(&pairs, variables[i]);
	bytes_add(out, (char[]){ 0, (char)pairs.length, (char)(pairs.length >> 8), 0 }, 4);
	bytes_add(out, pairs.data, pairs.length);
	bytes_add(out, body, length);
	bytes_free(&pairs);
}

void fastcgi_record(
        struct bytes *out, unsigned type, unsigned id, const void *content, size_t length)
{
	char padding = (char)(-length & 7);

	bytes_add(out,
	        (char[]){ 1, (char)type, (char)(id >> 8), (char)id, (char)(length >> 8),
	                (char)length, padding, 0 },
	        8);
	bytes_add(out, content, length);
	bytes_add(out, "\0\0\0\0\0\0\0", (size_t)padding);
}

static void fastcgi_length(struct bytes *out, size_t length)
{
	if (length < 128)
		bytes_add(out, (char[]){ (char)length }, 1);
	else
		bytes_add(out,
		        (char[]){ (char)(0x80 | length >> 24), (char)(length >> 16),
		                (char)(length >> 8), (char)length },
		        4);
}

static void fastcgi_pair(struct bytes *out, const char *name, const char *value)
{
	fastcgi_length(out, strlen(name));
	fastcgi_length(out, strlen(value));
	bytes_text(out, name);
	bytes_text(out, value);
}

/* A stream: records of at most 32 KiB, and the empty one that ends it. */
static void fastcgi_stream(
        struct bytes *out, unsigned type, unsigned id, const char *data, size_t length)
{
	for (size_t at = 0, part; at < length; at += part) {
		part = length - at < 32768 ? length - at : 32768;
		fastcgi_record(out, type, id, data + at, part);
	}
	fastcgi_record(out, type, id, NULL, 0);
}

static void fastcgi_begin(struct bytes *out, unsigned id, unsigned role, unsigned flags)
{
	const char body[8] = { 0, (char)role, (char)flags };

	fastcgi_record(out, FASTCGI_BEGIN, id, body, sizeof body);
}

static void fastcgi_params(
        struct bytes *out, unsigned id, gate_variables variables, const char *length)
{
	struct bytes pairs = { 0 };

	if (length)
		fastcgi_pair(&pairs, "CONTENT_LENGTH", length);
	for (size_t i = 0; variables[i]; i += 2)
		fastcgi_pair(&pairs, variables[i], variables[i + 1]);
	fastcgi_stream(out, FASTCGI_PARAMS, id, pairs.data, pairs.length);
	bytes_free(&pairs);
}

void fastcgi_open(
        struct bytes *out, unsigned id, unsigned role, unsigned flags, gate_variables variables)
{
	fastcgi_begin(out, id, role, flags);
	fastcgi_params(out, id, variables, NULL);
}

void fastcgi_build(struct bytes *out, unsigned id, unsigned flags, gate_variables variables,
        const void *body, size_t length)
{
	char number[24];

	snprintf(number, sizeof number, "%zu", length);
	fastcgi_begin(out, id, 1, flags);
	fastcgi_params(out, id, variables, number);
	fastcgi_stream(out, FASTCGI_STDIN, id, body, length);
}

static bool is_field(const char *name)
{
	return strncmp(name, "HTTP_", 5) == 0 || strcmp(name, "CONTENT_TYPE") == 0;
}

/* REQUEST_METHOD, REQUEST_URI and HTTP_* as an HTTP/1.1 request. */
static void http_from_variables(
        struct bytes *out, gate_variables variables, const void *body, size_t length)
{
	const char *method = "GET", *target = "/";
	struct bytes fields = { 0 };

	bytes_text(&fields, "Connection: close\r\n");
	for (size_t i = 0; variables[i]; i += 2) {
		const char *name = variables[i];

		if (strcmp(name, "REQUEST_METHOD") == 0)
			method = variables[i + 1];
		if (strcmp(name, "REQUEST_URI") == 0)
			target = variables[i + 1];
		if (!is_field(name))
			continue;
		for (const char *c = name + (*name == 'H' ? 5 : 0); *c; c++)
			bytes_add(&fields, *c == '_' ? "-" : c, 1);
		bytes_printf(&fields, ": %s\r\n", variables[i + 1]);
	}
	http_build(out, method, target, fields.data, body ? body : "", length);
	bytes_free(&fields);
}

/* ---- answers ---- */

/* "Status: 200 OK\r\nName: value\r\n\r\nbody" */
static void parse_cgi(struct response *response, const struct bytes *answer)
{
	const char *end = answer->data ? memmem(answer->data, answer->length, "\r\n\r\n", 4) : NULL;

	if (!end)
		return;

	size_t head = (size_t)(end + 2 - answer->data);

	response_head(response, answer->data, head);
	cr_assert(*response_field(response, "Status"), "no Status: %.200s", answer->data);
	response->status = atoi(response_field(response, "Status"));
	bytes_add(&response->body, end + 4, answer->length - head - 2);
	response->whole = true;
}

static unsigned be16(const char *at)
{
	return (unsigned)(uint8_t)at[0] << 8 | (uint8_t)at[1];
}

/* Waits until `length` bytes have been received. */
static bool need(struct client *client, size_t length)
{
	while (client->in.length < length)
		if (!client_fill(client))
			return false;
	return true;
}

/* One record of exchange `id`; false when it was the last. */
static bool take_record(struct client *client, unsigned id, struct response *response)
{
	if (!need(client, 8))
		return false;

	unsigned type = (uint8_t)client->in.data[1], length = be16(client->in.data + 4);
	size_t whole = 8 + (size_t)length + (uint8_t)client->in.data[6];

	if (!need(client, whole))
		return false;

	const char *record = client->in.data;

	cr_assert_eq(record[0], 1, "not a FastCGI record");
	cr_assert_eq(be16(record + 2), id, "a record of exchange %u", be16(record + 2));
	cr_assert(type == 3 || type == 6 || type == 7, "a record of type %u", type);
	if (type == 6)
		bytes_add(&response->body, record + 8, length);
	if (type == 7)
		bytes_add(&response->stderr, record + 8, length);
	if (type == 3) {
		cr_assert_eq(length, 8);
		response->app_status = (int)(be16(record + 8) << 16 | be16(record + 10));
		response->protocol_status = record[12];
	}
	client_take(client, whole);
	return type != 3;
}

void fastcgi_records(struct client *client, unsigned id, struct response *response)
{
	*response =
	        (struct response){ .body = bytes_empty(), .app_status = -1, .protocol_status = -1 };
	while (take_record(client, id, response))
		;
}

void fastcgi_response(struct client *client, unsigned id, struct response *response)
{
	struct bytes answer;

	fastcgi_records(client, id, response);
	answer = response->body;
	response->body = bytes_empty();
	parse_cgi(response, &answer);
	response->whole &= response->protocol_status == 0; /* FCGI_REQUEST_COMPLETE */
	bytes_free(&answer);
}

static void read_answer(const char *protocol, struct client *client, struct response *response)
{
	if (strcmp(protocol, "fastcgi") == 0) {
		fastcgi_response(client, 1, response);
		client_read_all(client);
		cr_expect_eq(client->in.length, 0, "bytes follow the end of the request");
	} else if (strcmp(protocol, "scgi") == 0) {
		client_read_all(client);
		*response = (struct response){ .body = bytes_empty() };
		parse_cgi(response, &client->in);
		response->whole &= !client->reset;
	} else { /* uwsgi answers with an HTTP status line */
		client_response(client, "GET", response);
	}
}

void gate_ask(const char *protocol, const char *address, gate_variables variables, const void *body,
        size_t length, struct client *client)
{
	struct bytes out = { 0 };

	if (strcmp(protocol, "fastcgi") == 0)
		fastcgi_build(&out, 1, 0, variables, body, length);
	else if (strcmp(protocol, "scgi") == 0)
		scgi_build(&out, variables, body, length);
	else if (strcmp(protocol, "uwsgi") == 0)
		uwsgi_build(&out, variables, body, length);
	else
		http_from_variables(&out, variables, body, length);
	client_open(client, address);
	client_send(client, out.data, out.length);
	client_flush(client);
	bytes_free(&out);
}

void gate_ask_for(
        const char *protocol, const char *address, const char *target, struct client *client)
{
	gate_variables variables = { "REQUEST_METHOD", "GET", "REQUEST_URI", target,
		"SERVER_PROTOCOL", "HTTP/1.1", NULL };

	gate_ask(protocol, address, variables, NULL, 0, client);
}

void gate_answer(const char *protocol, struct client *client, struct response *response)
{
	read_answer(protocol, client, response);
	client_close(client);
}

void gate_request(const char *protocol, const char *address, gate_variables variables,
        const void *body, size_t length, struct response *response)
{
	struct client client;

	gate_ask(protocol, address, variables, body, length, &client);
	gate_answer(protocol, &client, response);
}

void gate_ask_query(const char *protocol, const char *address, const char *query, const char *body,
        struct client *client)
{
	char target[1024];

	snprintf(target, sizeof target, "/?%s", query);
	gate_variables variables = { "REQUEST_METHOD", body ? "POST" : "GET", "REQUEST_URI", target,
		"HTTP_HOST", "a", NULL };

	gate_ask(protocol, address, variables, body, body ? strlen(body) : 0, client);
}

void gate_check_query(const char *protocol, const char *address, const char *query,
        const char *body, const char *wanted, unsigned times)
{
	struct bytes all = bytes_empty();
	struct response response;
	struct client client;

	gate_ask_query(protocol, address, query, body, &client);
	gate_answer(protocol, &client, &response);
	for (unsigned i = 0; i < times; i++)
		bytes_text(&all, wanted);
	cr_expect_eq(response.status, 200, "%s: %s: %d", protocol, query, response.status);
	cr_expect_eq(strcmp(response.body.data, all.data), 0, "%s: %s: %.300s", protocol, query,
	        response.body.data);
	response_free(&response);
	bytes_free(&all);
}
