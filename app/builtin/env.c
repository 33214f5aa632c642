/*
 * The inspector: answers any request with what an application sees of it, as JSON. Its
 * keys are fixed: users ask it what their gateway really sends, tests compare gates by it.
 */
#include "builtin.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "../request.h"

#define DIGEST_BYTES 32 /* SHA-256 */
#define PIECE        4096

/* What was read of the body. */
struct body {
	uint64_t bytes;
	EVP_MD_CTX *digest; /* from the first byte on: libcrypto's start is too dear for a GET */
	unsigned char sha256[DIGEST_BYTES];
};

/* SHA-256 of nothing. */
static const unsigned char sha256_empty[DIGEST_BYTES] = {
	0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
	0x24, //
	0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8,
	0x55, //
};

/* ---- the body ---- */

static bool body_add(struct body *body, const void *piece, size_t size)
{
	body->bytes += size;
	if (!body->digest) {
		body->digest = EVP_MD_CTX_new();
		if (!body->digest || EVP_DigestInit_ex(body->digest, EVP_sha256(), NULL) != 1)
			return false;
	}
	return EVP_DigestUpdate(body->digest, piece, size) == 1;
}

/* Reads and hashes the body to its end. Returns 0, or the status to answer. */
static int body_read(struct body *body, struct ag_request *req)
{
	char piece[PIECE];
	ssize_t size;
	int status = 0;

	memset(body, 0, sizeof *body);
	memcpy(body->sha256, sha256_empty, sizeof body->sha256);
	while (!status && (size = ag_read(req, piece, sizeof piece)) != 0) {
		if (size < 0)
			status = 400;
		else if (!body_add(body, piece, (size_t)size))
			status = 500;
	}
	if (!status && body->digest && EVP_DigestFinal_ex(body->digest, body->sha256, NULL) != 1)
		status = 500;
	EVP_MD_CTX_free(body->digest);
	return status;
}

static void write_body(struct ag_request *req, const struct body *body)
{
	char hex[2 * DIGEST_BYTES + 1] = "";

	for (size_t i = 0; i < DIGEST_BYTES; i++) {
		hex[2 * i] = "0123456789abcdef"[body->sha256[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[body->sha256[i] & 15];
	}
	ag_printf(req, "{\"bytes\":%llu,\"sha256\":\"%s\"}", (unsigned long long)body->bytes, hex);
}

/* ---- the variables ---- */

static void write_pair(
        struct ag_request *req, const char *name, const char *between, const char *value)
{
	ag_json(req, name);
	ag_puts(req, between);
	ag_json(req, value);
}

static void write_env(struct ag_request *req)
{
	const char *name, *value, *comma = "";

	ag_puts(req, "{");
	for (size_t i = 0; ag_env_at(req, i, &name, &value); i++) {
		if (ag_env(req, name) != value)
			continue; /* a later one of this name is in force */
		ag_puts(req, comma);
		write_pair(req, name, ":", value);
		comma = ",";
	}
	ag_puts(req, "}");
}

static void write_env_list(struct ag_request *req)
{
	const char *name, *value;

	ag_puts(req, "[");
	for (size_t i = 0; request_arrived_at(req, i, &name, &value); i++) {
		ag_puts(req, i ? ",[" : "[");
		write_pair(req, name, ",", value);
		ag_puts(req, "]");
	}
	ag_puts(req, "]");
}

/* ---- the arguments ---- */

struct arg {
	const char *name, *value;
	struct arg *next; /* of the same name, in order */
	bool later;       /* not the first of its name */
};

/* By name, those of one name in order. */
static int arg_compare(const void *a, const void *b)
{
	const struct arg *left = *(struct arg *const *)a, *right = *(struct arg *const *)b;
	int order = strcmp(left->name, right->name);

	return order ? order : (left > right) - (left < right);
}

/* Links the arguments of one name: by sorting, as their number is the client's choice. */
static void args_link(struct arg *args, struct arg **order, size_t count)
{
	for (size_t i = 0; i < count; i++)
		order[i] = &args[i];
	qsort(order, count, sizeof *order, arg_compare);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(order[i - 1]->name, order[i]->name) == 0) {
			order[i - 1]->next = order[i];
			order[i]->later = true;
		}
	}
}

/* All arguments, linked; NULL without memory. */
static struct arg *args_collect(struct ag_request *req, size_t *count)
{
	const char *name, *value;

	*count = 0;
	while (ag_arg_at(req, *count, &name, &value))
		++*count;

	struct arg *args = ag_alloc(req, (*count + 1) * sizeof *args);
	struct arg **order = ag_alloc(req, (*count + 1) * sizeof *order);

	if (!args || !order)
		return NULL;
	for (size_t i = 0; i < *count; i++) {
		ag_arg_at(req, i, &name, &value);
		args[i] = (struct arg){ .name = name, .value = value };
	}
	args_link(args, order, *count);
	return args;
}

static void write_args(struct ag_request *req, const struct arg *args, size_t count)
{
	const char *comma = "";

	ag_puts(req, "{");
	for (size_t i = 0; i < count; i++) {
		if (args[i].later)
			continue;
		ag_puts(req, comma);
		write_pair(req, args[i].name, ":[", args[i].value);
		for (const struct arg *at = args[i].next; at; at = at->next) {
			ag_puts(req, ",");
			ag_json(req, at->value);
		}
		ag_puts(req, "]");
		comma = ",";
	}
	ag_puts(req, "}");
}

static int inspect(struct ag_request *req)
{
	struct body body;
	size_t count;
	int status = body_read(&body, req);
	struct arg *args = status ? NULL : args_collect(req, &count);

	if (!args)
		return status ? status : 500;
	ag_set_header(req, "Content-Type", "application/json");
	ag_puts(req, "{\"protocol\":");
	ag_json(req, ag_protocol(req));
	ag_printf(req, ",\"worker\":%d,\"env\":", ag_worker(req));
	write_env(req);
	ag_puts(req, ",\"env_list\":");
	write_env_list(req);
	ag_puts(req, ",\"path\":");
	write_pair(req, ag_path(req), ",\"mount\":", ag_mount(req));
	ag_puts(req, ",\"args\":");
	write_args(req, args, count);
	ag_puts(req, ",\"body\":");
	write_body(req, &body);
	ag_puts(req, "}\n");
	return 200;
}

void builtin_env(struct ag_app *app)
{
	ag_route(app, NULL, "/*path", inspect);
}
