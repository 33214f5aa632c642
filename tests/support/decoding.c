/* Not a table of tests: see decoding.h. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "decoding.h"
#include "pairs.h"

#define SHOWN_MAX  64   /* bytes of a text that are shown */
#define SMALL      2048 /* bytes of input up to which every place is cut */
#define CUTS_MAX   300
#define STEP_LARGE 251 /* larger inputs go byte by byte only near both ends */
#define EDGE       1024
#define IDS_MAX    64 /* different ids in one input */

const struct limits decoding_limits = {
	.header_size = 64 << 10,
	.variables = 256,
	.body_size = 50 << 20,
	.body_memory = 64 << 10,
};

/* How far an exchange is: the order of events that protocol.h promises. */
enum stage {
	STAGE_NONE,
	STAGE_BEGUN,
	STAGE_PIECES, /* inside a PAIR */
	STAGE_HEAD,
	STAGE_END,  /* the request is complete; the peer may still give it up */
	STAGE_OVER, /* aborted or refused */
};

struct exchange {
	uint16_t id;
	enum stage stage;
	uint8_t *body;
	size_t body_length;
	uint8_t *pair; /* name and value of a PAIR */
	size_t pair_length, pair_filled, name_length;
};

/* Memory in front of a page that can't be touched; two of them take turns. */
struct guard {
	uint8_t *at;
	size_t size;
};

struct run {
	const struct protocol *protocol;
	const struct limits *limits;
	bool ends;
	void *state;
	struct exchange exchanges[IDS_MAX];
	unsigned count;
	struct guard guards[2];
	unsigned turn;
	struct span unread;
	FILE *out;
	char *text;
	size_t text_length;
	uint64_t sum; /* of all bytes of bodies and long texts */
	bool bad;
	const char *fault; /* what the decoder did against the contract */
};

static void guard_open(struct guard *guard, size_t length)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	guard->size = (length / page + 1) * page;
	guard->at = mmap(NULL, guard->size + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(guard->at, MAP_FAILED);
}

static void guard_close(struct guard *guard)
{
	munmap(guard->at, guard->size + (size_t)sysconf(_SC_PAGESIZE));
}

/* Puts what was left unread and the next bytes at the end of the other guarded place. */
static struct span show(struct run *run, const uint8_t *bytes, size_t length)
{
	struct guard *guard = &run->guards[run->turn ^= 1];
	struct guard *stale = &run->guards[run->turn ^ 1];
	struct span shown = { NULL, run->unread.length + length };
	uint8_t *at = guard->at + guard->size - shown.length;

	cr_assert(mprotect(guard->at, guard->size, PROT_READ | PROT_WRITE) == 0);
	if (run->unread.length > 0)
		memcpy(at, run->unread.data, run->unread.length);
	memcpy(at + run->unread.length, bytes, length);
	cr_assert(mprotect(guard->at, guard->size, PROT_READ) == 0);
	cr_assert(mprotect(stale->at, stale->size, PROT_NONE) == 0);
	shown.data = at;
	return shown;
}

static void add_sum(struct run *run, struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		run->sum = (run->sum ^ text.data[i]) * 0x100000001b3;
}

static void put_text(struct run *run, struct span text)
{
	for (size_t i = 0; i < text.length && i < SHOWN_MAX; i++) {
		uint8_t byte = text.data[i];

		if (byte >= 0x20 && byte < 0x7f && byte != '\\')
			fputc(byte, run->out);
		else
			fprintf(run->out, "\\x%02x", byte);
	}
	if (text.length > SHOWN_MAX)
		fputs("...", run->out);
	add_sum(run, text);
}

static void put_pair(struct run *run, unsigned id, const char *kind, struct span name,
        const char *between, struct span value)
{
	fprintf(run->out, "%u %s ", id, kind);
	put_text(run, name);
	fputs(between, run->out);
	put_text(run, value);
	fputc('\n', run->out);
}

static void fault(struct run *run, bool wrong, const char *what)
{
	if (wrong && run->fault == NULL)
		run->fault = what;
}

static struct exchange *exchange_of(struct run *run, uint16_t id)
{
	for (unsigned i = 0; i < run->count; i++)
		if (run->exchanges[i].id == id)
			return &run->exchanges[i];
	cr_assert_lt(run->count, IDS_MAX);
	run->exchanges[run->count].id = id;
	return &run->exchanges[run->count++];
}

static void put_body(struct run *run, struct exchange *exchange)
{
	if (exchange->body_length == 0)
		return;
	fprintf(run->out, "%u body %zu bytes \"", exchange->id, exchange->body_length);
	put_text(run, (struct span){ exchange->body, exchange->body_length });
	fputs("\"\n", run->out);
	exchange->body_length = 0;
}

static void put_bodies(struct run *run)
{
	for (unsigned i = 0; i < run->count; i++)
		put_body(run, &run->exchanges[i]);
}

static void on_begin(struct run *run, struct exchange *exchange, const struct wire_event *event)
{
	fault(run, exchange->stage != STAGE_NONE, "BEGIN for an exchange that is open");
	exchange->stage = STAGE_BEGUN;
	fprintf(run->out, "%u begin %s\n", event->id,
	        event->role == ROLE_RESPONDER ? "responder" : "authorizer");
}

static void on_pairs(struct run *run, struct exchange *exchange, const struct wire_event *event)
{
	bool fields = event->kind == EVENT_FIELDS;

	fault(run, exchange->stage != STAGE_BEGUN, "variables where none may come");
	fault(run, event->count == 0 || event->count > EVENT_PAIRS, "count of pairs");
	fault(run, !pairs_are_sound(event), "numbers or places of pairs");
	for (unsigned i = 0; i < event->count; i++)
		put_pair(run, event->id, fields ? "field" : "var", event->pairs[i].name,
		        fields ? ": " : "=", event->pairs[i].value);
}

static void pair_done(struct run *run, struct exchange *exchange, unsigned id)
{
	struct span name = { exchange->pair, exchange->name_length };
	struct span value = { exchange->pair + exchange->name_length,
		exchange->pair_length - exchange->name_length };

	if (exchange->pair_filled < exchange->pair_length)
		return;
	put_pair(run, id, "var", name, "=", value);
	exchange->stage = STAGE_BEGUN;
}

static void on_pair(struct run *run, struct exchange *exchange, const struct wire_event *event)
{
	fault(run, exchange->stage != STAGE_BEGUN, "PAIR where none may come");
	exchange->stage = STAGE_PIECES;
	exchange->name_length = event->pairs[0].name.length;
	exchange->pair_length = exchange->name_length + event->pairs[0].value.length;
	exchange->pair_filled = 0;
	exchange->pair = realloc(exchange->pair, exchange->pair_length + 1);
	pair_done(run, exchange, event->id);
}

static void on_part(struct run *run, struct exchange *exchange, const struct wire_event *event)
{
	struct span data = event->data;

	fault(run, exchange->stage != STAGE_PIECES, "PART without PAIR");
	fault(run, data.length == 0, "an empty PART");
	fault(run, data.length > exchange->pair_length - exchange->pair_filled, "PART too long");
	if (run->fault)
		return;
	memcpy(exchange->pair + exchange->pair_filled, data.data, data.length);
	exchange->pair_filled += data.length;
	pair_done(run, exchange, event->id);
}

static void on_head(struct run *run, struct exchange *exchange, const struct wire_event *event)
{
	fault(run, exchange->stage != STAGE_BEGUN, "HEAD where it may not come");
	exchange->stage = STAGE_HEAD;
	fprintf(run->out, "%u head\n", event->id);
}

static void on_body(struct run *run, struct exchange *exchange, const struct wire_event *event)
{
	struct span data = event->data;

	fault(run, exchange->stage != STAGE_HEAD, "BODY where it may not come");
	fault(run, data.length == 0, "an empty BODY");
	exchange->body = realloc(exchange->body, exchange->body_length + data.length + 1);
	memcpy(exchange->body + exchange->body_length, data.data, data.length);
	exchange->body_length += data.length;
}

/* END, ABORT, BAD_EXCHANGE. */
static void on_over(struct run *run, struct exchange *exchange, const struct wire_event *event)
{
	uint8_t scratch[PROTOCOL_FRAME_MAX];
	struct writer writer = { scratch, scratch + sizeof scratch, false };

	fault(run, event->kind == EVENT_END && exchange->stage != STAGE_HEAD, "END before HEAD");
	fault(run, exchange->stage == STAGE_NONE || exchange->stage == STAGE_OVER,
	        "the end of an exchange that is not open");
	fault(run, event->kind == EVENT_BAD_EXCHANGE && exchange->stage == STAGE_END,
	        "BAD_EXCHANGE after END");
	put_body(run, exchange);
	if (event->kind == EVENT_BAD_EXCHANGE)
		fprintf(run->out, "%u refused %d\n", event->id, event->status);
	else
		fprintf(run->out, "%u %s\n", event->id, event->kind == EVENT_END ? "end" : "abort");
	fault(run, event->kind == EVENT_BAD_EXCHANGE && event->reason == NULL, "no reason");
	exchange->stage = event->kind == EVENT_END ? STAGE_END : STAGE_OVER;
	if (!run->ends && run->protocol->multiplexes)
		return;
	write_end(run->protocol, run->state, event->id, &writer);
	fault(run, writer.overflow, "the end is too long");
	exchange->stage = STAGE_NONE;
}

static void on_reply(struct run *run, const struct wire_event *event)
{
	fault(run, event->reply_length == 0 || event->reply_length > EVENT_REPLY_MAX, "REPLY");
	fputs("reply ", run->out);
	for (size_t i = 0; i < event->reply_length; i++)
		fprintf(run->out, "%02x", event->reply[i]);
	fputc('\n', run->out);
}

static void on_event(struct run *run, const struct wire_event *event)
{
	static void (*const kinds[])(
	        struct run * run, struct exchange * exchange, const struct wire_event *event) = {
		[EVENT_BEGIN] = on_begin,
		[EVENT_VARIABLES] = on_pairs,
		[EVENT_FIELDS] = on_pairs,
		[EVENT_PAIR] = on_pair,
		[EVENT_PART] = on_part,
		[EVENT_HEAD] = on_head,
		[EVENT_BODY] = on_body,
		[EVENT_END] = on_over,
		[EVENT_ABORT] = on_over,
		[EVENT_BAD_EXCHANGE] = on_over,
	};

	if (event->kind == EVENT_REPLY) {
		on_reply(run, event);
		return;
	}
	fault(run, !run->protocol->multiplexes && event->id != 1, "an id other than 1");
	kinds[event->kind](run, exchange_of(run, event->id), event);
}

static void feed(struct run *run, const uint8_t *bytes, size_t length)
{
	struct span in = show(run, bytes, length);
	enum decode_result result = DECODE_MORE;
	struct wire_event event;

	while (!run->bad && run->fault == NULL) {
		memset(&event, 0xa5, sizeof event);
		result = run->protocol->decode(run->state, run->limits, &in, &event);
		if (result != DECODE_EVENT)
			break;
		on_event(run, &event);
	}
	if (result == DECODE_BAD) {
		fault(run, event.reason == NULL, "no reason");
		run->bad = true;
		put_bodies(run);
		fprintf(run->out, "bad %d\n", event.status);
	}
	run->unread = in;
}

static void run_open(struct run *run, const struct protocol *protocol, const struct limits *limits,
        size_t length, bool ends)
{
	*run = (struct run){ .protocol = protocol, .limits = limits, .ends = ends };
	run->state = calloc(1, protocol->state_size);
	run->out = open_memstream(&run->text, &run->text_length);
	guard_open(&run->guards[0], length);
	guard_open(&run->guards[1], length);
}

/* Ends the text; what came of bodies that did not end is in it if `all`. */
static void run_finish(struct run *run, bool all)
{
	if (all)
		put_bodies(run);
	if (!run->bad)
		fputs("more\n", run->out);
	if (run->fault)
		fprintf(run->out, "AGAINST THE CONTRACT: %s\n", run->fault);
	fclose(run->out);
}

static void run_close(struct run *run)
{
	for (unsigned i = 0; i < run->count; i++) {
		free(run->exchanges[i].body);
		free(run->exchanges[i].pair);
	}
	free(run->state);
	guard_close(&run->guards[0]);
	guard_close(&run->guards[1]);
	free(run->text);
}

/* Delivers `length` bytes: first `first`, then pieces of at most `step`. */
static void deliver(struct run *run, const uint8_t *bytes, size_t length, size_t first, size_t step)
{
	size_t at = first;

	feed(run, bytes, first);
	while (at < length) {
		size_t piece = step;

		if (step == 1 && length > SMALL && at > EDGE && at + EDGE < length)
			piece = STEP_LARGE;
		piece = piece < length - at ? piece : length - at;
		feed(run, bytes + at, piece);
		at += piece;
	}
}

static void expect_same(const struct run *run, const struct decoding_row *row, const char *delivery,
        size_t at, const char *expected)
{
	cr_expect(strcmp(run->text, expected) == 0,
	        "%s: %s, %s %zu of %zu\n--- expected\n%s--- got\n%s---", run->protocol->name,
	        row->name, delivery, at, row->length, expected, run->text);
}

/* What a prefix gives must be the beginning of what all gives, but for the last "more". */
static void expect_prefix(const struct run *run, const struct decoding_row *row, size_t at)
{
	static const char more[] = "more\n";
	size_t length = run->text_length;

	if (length >= sizeof more - 1 && strcmp(run->text + length - (sizeof more - 1), more) == 0)
		length -= sizeof more - 1;
	cr_expect(strncmp(run->text, row->events, length) == 0,
	        "%s: %s, cut at %zu of %zu\n--- expected the beginning of\n%s--- got\n%s---",
	        run->protocol->name, row->name, at, row->length, row->events, run->text);
}

static size_t next_cut(const struct decoding_row *row, size_t at)
{
	return at + (row->length <= SMALL ? 1 : row->length / CUTS_MAX + 1);
}

static uint64_t check_delivery(const struct protocol *protocol, const struct limits *limits,
        const struct decoding_row *row, size_t first, size_t step, const char *delivery)
{
	struct run run;
	uint64_t sum;

	run_open(&run, protocol, limits, row->length, row->ends);
	deliver(&run, (const uint8_t *)row->bytes, row->length, first, step);
	run_finish(&run, true);
	sum = run.sum;
	expect_same(&run, row, delivery, first, row->events);
	run_close(&run);
	return sum;
}

static void check_cut(const struct protocol *protocol, const struct limits *limits,
        const struct decoding_row *row, size_t at)
{
	struct run run;

	run_open(&run, protocol, limits, row->length, row->ends);
	feed(&run, (const uint8_t *)row->bytes, at);
	run_finish(&run, false);
	expect_prefix(&run, row, at);
	run_close(&run);
}

static void check_row(const struct protocol *protocol, const struct limits *limits,
        const struct decoding_row *row)
{
	uint64_t sum = check_delivery(protocol, limits, row, row->length, 1, "whole");

	cr_expect(check_delivery(protocol, limits, row, 0, 1, "byte by byte") == sum,
	        "%s: %s: other bytes in bodies, byte by byte", protocol->name, row->name);
	for (size_t at = 1; at < row->length; at = next_cut(row, at)) {
		uint64_t split = check_delivery(protocol, limits, row, at, row->length, "split at");

		cr_expect(split == sum, "%s: %s: other bytes in bodies, split at %zu",
		        protocol->name, row->name, at);
		check_cut(protocol, limits, row, at);
	}
}

void decoding_check(const struct protocol *protocol, const struct limits *limits,
        const struct decoding_row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		check_row(protocol, limits ? limits : &decoding_limits, &rows[i]);
}

char *decoding_events(const struct protocol *protocol, const struct limits *limits,
        const void *bytes, size_t length, size_t step)
{
	struct run run;
	char *text;

	run_open(&run, protocol, limits ? limits : &decoding_limits, length, true);
	deliver(&run, bytes, length, 0, step);
	run_finish(&run, true);
	text = strdup(run.text);
	run_close(&run);
	return text;
}

void decoding_prepare(
        const struct protocol *protocol, void *state, const void *bytes, size_t length)
{
	struct span in = { bytes, length };
	struct wire_event event;

	while (protocol->decode(state, &decoding_limits, &in, &event) == DECODE_EVENT)
		continue;
}
