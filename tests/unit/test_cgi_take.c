/* What variables must be to be taken: alone, together as on the wire, and in pieces. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env_list.h"
#include "tests/support/decoding.h"
#include "tests/support/loopback.h"

SUITE(cgi_take);

/* ---- what stands as a variable ---- */

#define TEXT(text) text, sizeof(text) - 1

static const struct {
	const char *name;
	size_t name_length;
	const char *value;
	size_t value_length;
	int status;
	const char *final; /* NULL: not looked at */
} admit_rows[] = {
	{ TEXT("NAME"), TEXT("value"), 0, "value" },
	{ TEXT("NAME"), TEXT(""), 0, "" },
	{ TEXT(""), TEXT("value"), 400, NULL },
	{ TEXT(""), TEXT(""), 400, NULL },
	{ TEXT("NA\0ME"), TEXT("value"), 400, NULL },
	{ TEXT("NA=ME"), TEXT("value"), 400, NULL },
	{ TEXT("NAME"), TEXT("val\0ue"), 400, NULL },
	{ TEXT("HTTP_X"), TEXT("a\0"), 400, NULL },
	{ TEXT("HTTP_X"), TEXT("a\rb"), 400, NULL },
	{ TEXT("HTTP_X"), TEXT("a\nb"), 400, NULL },
	{ TEXT("HTTP_X"), TEXT("a\r\nX: y"), 400, NULL },
	{ TEXT("HTTP_X"), TEXT("\r"), 400, NULL },
	{ TEXT("HTTP_X"), TEXT("  a b\t"), 0, "a b" },
	{ TEXT("HTTP_X"), TEXT(" \t "), 0, "" },
	{ TEXT("HTTP_X"), TEXT("\xff\x80"), 0, "\xff\x80" },
	{ TEXT("OTHER"), TEXT(" a "), 0, " a " },
	{ TEXT("OTHER"), TEXT("a\nb"), 0, "a\nb" },
};

Test(cgi_take, what_is_admitted)
{
	for (size_t i = 0; i < COUNT(admit_rows); i++) {
		const char *name = admit_rows[i].name;
		size_t name_length = admit_rows[i].name_length;
		struct list list;

		list_open(&list, 8, 4096);
		struct verdict verdict = take(&list.env, name, name_length, admit_rows[i].value,
		        admit_rows[i].value_length);

		cr_expect_eq(verdict.status, admit_rows[i].status, "row %zu", i);
		if (admit_rows[i].final) {
			const struct var *var = env_find(&list.env, name, name_length);

			cr_assert(var, "row %zu", i);
			cr_expect_str_eq(env_value(var), admit_rows[i].final, "row %zu", i);
			cr_expect_eq(var->value_length, strlen(admit_rows[i].final), "row %zu", i);
		}
		list_close(&list);
	}
}

/* How variables stand together on the wire: framing bytes before a name, before and behind a value.
 */
static const struct {
	const char *name;
	size_t before, between, behind;
} framings[] = {
	{ "fastcgi", 2, 0, 0 },
	{ "fastcgi, long lengths", 8, 0, 0 },
	{ "scgi", 0, 1, 1 },
	{ "uwsgi", 2, 2, 0 },
};

struct texts {
	struct span name, value;
};

/* Puts a pair at `at` of memory that is large enough; what is behind it. */
static char *put_pair(struct wire_event *event, size_t framing, char *at, struct texts text)
{
	struct pair *pair = &event->pairs[event->count++];

	at += framings[framing].before;
	char *value = at + text.name.length + framings[framing].between;

	memcpy(at, text.name.data, text.name.length);
	memcpy(value, text.value.data, text.value.length);
	*pair = pair_of((uint8_t *)at, text.name.length, (uint8_t *)value, text.value.length);
	return value + text.value.length + framings[framing].behind;
}

/* The row's between two others, at the end of memory that holds no more. */
static struct verdict take_three(struct env *env, size_t framing, struct texts middle)
{
	const struct texts others[] = { { span_of("REQUEST_METHOD"), span_of("GET") },
		{ span_of("X"), span_of("a value of more than sixteen bytes") } };
	struct wire_event event = { .kind = EVENT_VARIABLES };
	char measure[512], *end = measure;

	end = put_pair(&event, framing, end, others[0]);
	end = put_pair(&event, framing, end, middle);
	end = put_pair(&event, framing, end, others[1]);
	size_t size = (size_t)(end - measure) - framings[framing].behind;
	char *exact = malloc(size);

	memset(exact, 0xaa, size);
	event.count = 0;
	end = put_pair(&event, framing, exact, others[0]);
	end = put_pair(&event, framing, end, middle);
	put_pair(&event, framing, end, others[1]);
	event.data = (struct span){ (uint8_t *)exact, size };
	struct verdict verdict = cgi_take(env, &event);

	free(exact);
	return verdict;
}

static void check_three(const struct env *env, const char *name, size_t name_length,
        const char *final, const char *label)
{
	const struct var *method = env_known(env, VAR_REQUEST_METHOD);
	const struct var *var = env_find(env, name, name_length), *last = env_find(env, "X", 1);

	cr_assert(method && var && last, "%s", label);
	cr_expect_str_eq(env_name(method), "REQUEST_METHOD");
	cr_expect_str_eq(env_value(method), "GET", "%s", label);
	cr_expect_str_eq(env_name(var), name);
	cr_expect_str_eq(env_value(var), final, "%s", label);
	cr_expect_eq(var->value_length, strlen(final), "%s", label);
	cr_expect_str_eq(env_value(last), "a value of more than sixteen bytes", "%s", label);
}

Test(cgi_take, what_is_admitted_together)
{
	for (size_t i = 0; i < COUNT(admit_rows) * COUNT(framings); i++) {
		size_t row = i / COUNT(framings), framing = i % COUNT(framings);
		const struct texts middle = { { (const uint8_t *)admit_rows[row].name,
			                              admit_rows[row].name_length },
			{ (const uint8_t *)admit_rows[row].value, admit_rows[row].value_length } };
		struct list list;

		list_open(&list, 8, 4096);
		struct verdict verdict = take_three(&list.env, framing, middle);

		cr_expect_eq(verdict.status, admit_rows[row].status, "row %zu, %s", row,
		        framings[framing].name);
		if (admit_rows[row].final)
			check_three(&list.env, admit_rows[row].name, admit_rows[row].name_length,
			        admit_rows[row].final, framings[framing].name);
		list_close(&list);
	}
}

/* Names of every length up to where all bytes are copied alike. */
Test(cgi_take, names_of_every_length_together)
{
	static const char name[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (size_t i = 0; i < (sizeof(name) - 1) * COUNT(framings); i++) {
		size_t length = 1 + i / COUNT(framings), framing = i % COUNT(framings);
		char text[sizeof(name)] = "";
		struct list list;

		memcpy(text, name, length);
		list_open(&list, 8, 4096);
		const struct texts middle = { { (const uint8_t *)text, length }, span_of("value") };

		cr_expect_eq(take_three(&list.env, framing, middle).status, 0);
		check_three(&list.env, text, length, "value", framings[framing].name);
		list_close(&list);
	}
}

/* A name's length is kept in 16 bits: a longer one is refused, not cut. */
Test(cgi_take, names_too_long)
{
	char *name = malloc(UINT16_MAX + 1);

	memset(name, 'X', UINT16_MAX + 1);
	for (size_t i = 0; i < 8; i++) {
		bool field = i & 1, together = i & 2, more = i & 4;
		size_t length = (size_t)UINT16_MAX - (field ? 5 : 0) + more;
		char *wire = malloc(length + 3);
		struct wire_event event = { .kind = field ? EVENT_FIELDS : EVENT_VARIABLES,
			.count = 1 };
		struct list list;

		memcpy(wire + 1, name, length);
		wire[0] = wire[length + 1] = wire[length + 2] = 'v';
		event.pairs[0] = pair_of(
		        (uint8_t *)wire + 1, length, (uint8_t *)wire + length + 2, 1);
		if (together)
			event.data = (struct span){ (uint8_t *)wire, length + 3 };
		list_open(&list, 8, 1 << 20);
		cr_expect_eq(cgi_take(&list.env, &event).status, more ? 431 : 0, "row %zu", i);
		if (!more)
			cr_expect_eq(strlen(env_name(&list.env.vars[0])), UINT16_MAX, "row %zu", i);
		list_close(&list);
		free(wire);
	}
	free(name);
}

Test(cgi_take, limits_together)
{
	const struct texts middle = { span_of("NAME"), span_of("value") };
	const size_t bytes = 14 + 3 + 4 + 5 + 1 + 34;

	for (size_t framing = 0; framing < COUNT(framings); framing++) {
		struct list list;

		for (unsigned less = 0; less < 2; less++) {
			list_open(&list, 3 - less, 4096);
			cr_expect_eq(take_three(&list.env, framing, middle).status, less ? 431 : 0,
			        "%s", framings[framing].name);
			list_close(&list);
			list_open(&list, 3, bytes - less);
			cr_expect_eq(take_three(&list.env, framing, middle).status, less ? 431 : 0,
			        "%s", framings[framing].name);
			list_close(&list);
		}
	}
}

/* ---- pieces ---- */

static struct verdict take_part(struct env *env, const char *data, size_t length)
{
	struct wire_event event = { .kind = EVENT_PART };

	event.data = (struct span){ (const uint8_t *)data, length };
	return cgi_take(env, &event);
}

/* PAIR, then the bytes of name and value in pieces that end at `first` and `second`. */
static struct verdict take_pieces(
        struct env *env, size_t name_length, const char *text, size_t first, size_t second)
{
	struct wire_event event = { .kind = EVENT_PAIR };
	size_t length = strlen(text), ends[] = { first, second, length };
	struct verdict verdict;

	event.pairs[0].name.length = name_length;
	event.pairs[0].value.length = length - name_length;
	verdict = cgi_take(env, &event);
	for (size_t i = 0, at = 0; i < 3 && !verdict.status; at = ends[i++])
		if (ends[i] > at)
			verdict = take_part(env, text + at, ends[i] - at);
	return verdict;
}

Test(cgi_take, pieces_at_every_cut)
{
	static const char text[] = "HTTP_COOKIE  a=1 ";
	struct list list;

	for (size_t first = 0; first <= strlen(text); first++)
		for (size_t second = first; second <= strlen(text); second++) {
			list_open(&list, 8, 4096);
			cr_expect_eq(take_pieces(&list.env, 11, text, first, second).status, 0);
			const struct var *var = env_known(&list.env, VAR_HTTP_COOKIE);

			cr_assert(var, "cut at %zu and %zu", first, second);
			cr_expect_str_eq(env_name(var), "HTTP_COOKIE");
			cr_expect_str_eq(
			        env_value(var), "a=1", "cut at %zu and %zu", first, second);
			list_close(&list);
		}
}

static const struct {
	const char *name, *text;
	size_t name_length;
	unsigned variables;
	int status;
} piece_rows[] = {
	{ "whole", "NAMEvalue", 4, 8, 0 },
	{ "no name", "value", 0, 8, 400 },
	{ "nothing", "", 0, 8, 400 },
	{ "= in the name", "N=MEvalue", 4, 8, 400 },
	{ "line break in a field", "HTTP_Xa\nb", 6, 8, 400 },
	{ "one too many", "NAMEvalue", 4, 0, 431 },
};

Test(cgi_take, pieces_are_checked)
{
	for (size_t i = 0; i < COUNT(piece_rows); i++) {
		const char *text = piece_rows[i].text;

		for (size_t cut = 0; cut <= strlen(text); cut++) {
			struct list list;

			list_open(&list, piece_rows[i].variables, 4096);
			cr_expect_eq(
			        take_pieces(&list.env, piece_rows[i].name_length, text, cut, cut)
			                .status,
			        piece_rows[i].status, "%s, cut at %zu", piece_rows[i].name, cut);
			list_close(&list);
		}
	}
}
