#include "oracle.h"
#include "../support/pairs.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>

#define OPEN_MAX    64   /* exchanges that may be open at a time; fastcgi.c has 10 */
#define VALUES_MAX  8192 /* bytes that fastcgi.c may leave unread beside a header */
#define FIELDS_ROOM 64

enum stage {
	STAGE_BEGUN,
	STAGE_PIECES, /* inside a PAIR */
	STAGE_HEAD,
	STAGE_END,  /* the request is complete; the peer may still give it up */
	STAGE_OVER, /* aborted or refused */
};

/* An amount of bytes, whatever pieces they came in. */
struct sum {
	uint64_t length, hash;
};

struct exchange {
	uint16_t id;
	enum stage stage;
	bool answered;
	struct sum body, pair;
	uint64_t pair_length, name_length;
	uint64_t left; /* what body_left said, UINT64_MAX: not known */
};

/* One event, or the sum of several: what must be the same in every delivery. */
struct note {
	uint64_t kind, id, a, b, c;
};

struct run {
	const struct protocol *protocol;
	const struct oracle *oracle;
	void *state;
	struct exchange open[OPEN_MAX];
	unsigned count;
	struct note *notes;
	size_t note_count, note_size;
	uint64_t variables; /* bytes of the names and values of whole variables */
	bool bad;
};

/* Kinds of notes beside the events'. */
enum { NOTE_BAD = 100, NOTE_KEEPS, NOTE_REST };

void fuzz_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, what);
	abort();
}

struct oracle oracle_of(const uint8_t control[ORACLE_CONTROL])
{
	static const size_t headers[] = { 65536, 256, 128, 4096 };
	unsigned ways = control[0];

	return (struct oracle){
		.limits = { .header_size = headers[ways >> 2 & 3],
		        .variables = ways & 16 ? 4 : 256,
		        .body_size = ways & 32 ? 16 : 50 << 20,
		        .body_memory = 65536 },
		.answer = (enum answer)(ways & 3),
		.seed = (uint32_t)control[1] << 16 | (uint32_t)control[2] << 8 | control[3],
	};
}

static void sum_add(struct sum *sum, struct span text)
{
	for (size_t i = 0; i < text.length; i++)
		sum->hash = (sum->hash ^ text.data[i]) * UINT64_C(0x100000001b3);
	sum->length += text.length;
}

static void note(struct run *run, uint64_t kind, uint16_t id, uint64_t a, uint64_t b, uint64_t c)
{
	if (run->note_count == run->note_size) {
		run->note_size = run->note_size ? 2 * run->note_size : 64;
		run->notes = realloc(run->notes, run->note_size * sizeof *run->notes);
	}
	run->notes[run->note_count++] = (struct note){ kind, id, a, b, c };
}

static struct exchange *find(struct run *run, uint16_t id)
{
	for (unsigned i = 0; i < run->count; i++)
		if (run->open[i].id == id)
			return &run->open[i];
	return NULL;
}

static void forget(struct run *run, struct exchange *exchange)
{
	*exchange = run->open[--run->count];
}

static void end(struct run *run, uint16_t id)
{
	uint8_t scratch[PROTOCOL_FRAME_MAX];
	struct writer out = { scratch, scratch + sizeof scratch, false };

	run->protocol->write(run->state, id, &(struct portion){ .end = true }, &out);
	FUZZ_CHECK(!out.overflow, "an end writes too much");
}

/* The head and one piece of an answer. */
static void answer_head(struct run *run, uint16_t id)
{
	static const char fields[] = "A: b\r\n";
	uint8_t scratch[PROTOCOL_HEAD_MAX + FIELDS_ROOM], frame[5 + PROTOCOL_FRAME_MAX];
	struct writer out = { scratch, scratch + sizeof scratch, false };
	struct writer before = { frame, frame + sizeof frame, false };
	struct reply reply = { .status = 200,
		.fields = { (const uint8_t *)fields, sizeof fields - 1 },
		.length = run->oracle->seed & 1 ? -1 : 5 };

	struct portion piece = { .body = { (const uint8_t *)"hello", 5 } };

	run->protocol->write(run->state, id, &(struct portion){ .reply = &reply }, &out);
	run->protocol->write(run->state, id, &piece, &before);
	FUZZ_CHECK(!out.overflow && !before.overflow, "a head or a piece writes too much");
}

/* A line for the gateway's log; empty where the seed says so. */
static void answer_log(struct run *run, uint16_t id)
{
	uint8_t scratch[5 + PROTOCOL_FRAME_MAX];
	struct writer out = { scratch, scratch + sizeof scratch, false };
	struct span line = { (const uint8_t *)"hello", run->oracle->seed & 4 ? 5 : 0 };

	if (run->protocol->log)
		run->protocol->log(run->state, id, line, &out);
	FUZZ_CHECK(!out.overflow, "log() writes too much");
}

/* Answers as the daemon does, once. */
static void answer(struct run *run, struct exchange *exchange)
{
	uint16_t id = exchange->id;

	if (exchange->answered)
		return;
	exchange->answered = true;
	note(run, NOTE_KEEPS, id, run->protocol->keeps(run->state, id, NULL), 0, 0);
	if (run->oracle->seed & 8)
		answer_log(run, id);
	if (run->oracle->answer != ANSWER_AT_END && exchange->stage != STAGE_OVER)
		answer_head(run, id);
	end(run, id);
	if (run->protocol->multiplexes || exchange->stage >= STAGE_END)
		forget(run, exchange);
}

static void answer_late(struct run *run)
{
	for (unsigned i = run->count; i-- > 0;)
		if (run->open[i].stage >= STAGE_END)
			answer(run, &run->open[i]);
}

static void on_begin(struct run *run, const struct wire_event *event)
{
	FUZZ_CHECK(!find(run, event->id), "BEGIN for an exchange that is open");
	FUZZ_CHECK(event->role == ROLE_RESPONDER || event->role == ROLE_AUTHORIZER, "role");
	answer_late(run);
	FUZZ_CHECK(run->count < OPEN_MAX, "too many exchanges are open");
	run->open[run->count++] = (struct exchange){ .id = event->id, .stage = STAGE_BEGUN };
	run->variables = 0;
	note(run, EVENT_BEGIN, event->id, event->role, 0, 0);
}

static void note_pair(struct run *run, uint16_t id, uint64_t name, const struct sum *pair)
{
	note(run, EVENT_VARIABLES, id, name, pair->length, pair->hash);
	run->variables += pair->length;
}

static void on_pairs(struct run *run, struct exchange *exchange, const struct wire_event *event)
{
	FUZZ_CHECK(exchange->stage == STAGE_BEGUN, "variables where none may come");
	FUZZ_CHECK(event->count > 0 && event->count <= EVENT_PAIRS, "count of pairs");
	FUZZ_CHECK(pairs_are_sound(event), "numbers or places of pairs");
	for (unsigned i = 0; i < event->count; i++) {
		struct sum sum = { 0 };

		sum_add(&sum, event->pairs[i].name);
		sum_add(&sum, event->pairs[i].value);
		note_pair(run, event->id, event->pairs[i].name.length, &sum);
	}
	FUZZ_CHECK(run->protocol->multiplexes ||
	                   run->variables <= 2 * run->oracle->limits.header_size + 128,
	        "more variables than limits.header_size");
}

static void pair_done(struct run *run, struct exchange *exchange)
{
	if (exchange->pair.length < exchange->pair_length)
		return;
	note_pair(run, exchange->id, exchange->name_length, &exchange->pair);
	exchange->stage = STAGE_BEGUN;
}

static void on_pair(struct run *run, struct exchange *exchange, const struct wire_event *event)
{
	size_t name = event->pairs[0].name.length, value = event->pairs[0].value.length;
	size_t most = run->oracle->limits.header_size;

	FUZZ_CHECK(exchange->stage == STAGE_BEGUN, "PAIR where none may come");
	FUZZ_CHECK(name <= most && value <= most, "PAIR larger than limits.header_size");
	exchange->stage = STAGE_PIECES;
	exchange->name_length = name;
	exchange->pair_length = name + value;
	exchange->pair = (struct sum){ 0 };
	pair_done(run, exchange);
}

static void on_part(struct run *run, struct exchange *exchange, const struct wire_event *event)
{
	FUZZ_CHECK(exchange->stage == STAGE_PIECES, "PART without PAIR");
	FUZZ_CHECK(event->data.length > 0, "an empty PART");
	FUZZ_CHECK(event->data.length <= exchange->pair_length - exchange->pair.length,
	        "PARTs longer than the PAIR said");
	sum_add(&exchange->pair, event->data);
	pair_done(run, exchange);
}

static void on_head(struct run *run, struct exchange *exchange)
{
	uint8_t scratch[PROTOCOL_FRAME_MAX];
	struct writer out = { scratch, scratch + sizeof scratch, false };

	FUZZ_CHECK(exchange->stage == STAGE_BEGUN, "HEAD where it may not come");
	exchange->stage = STAGE_HEAD;
	exchange->left = run->protocol->body_left(run->state, exchange->id);
	note(run, EVENT_HEAD, exchange->id, exchange->left, 0, 0);
	if (run->protocol->want_body && run->oracle->seed & 2)
		run->protocol->want_body(run->state, &out);
	FUZZ_CHECK(!out.overflow, "want_body() writes too much");
	if (run->oracle->answer == ANSWER_EARLY)
		answer(run, exchange);
}

static void on_body(struct run *run, struct exchange *exchange, const struct wire_event *event)
{
	FUZZ_CHECK(exchange->stage == STAGE_HEAD, "BODY where it may not come");
	FUZZ_CHECK(event->data.length > 0, "an empty BODY");
	sum_add(&exchange->body, event->data);
	if (exchange->left == UINT64_MAX)
		return;
	FUZZ_CHECK(event->data.length <= exchange->left, "more body than body_left() said");
	exchange->left -= event->data.length;
	FUZZ_CHECK(exchange->left == run->protocol->body_left(run->state, exchange->id),
	        "body_left() does not count");
}

/* END, ABORT, BAD_EXCHANGE. */
static void on_over(struct run *run, struct exchange *exchange, const struct wire_event *event)
{
	bool complete = event->kind == EVENT_END, bad = event->kind == EVENT_BAD_EXCHANGE;

	FUZZ_CHECK(!complete || exchange->stage == STAGE_HEAD, "END before HEAD");
	FUZZ_CHECK(!complete || exchange->left == UINT64_MAX || exchange->left == 0,
	        "END before the body that body_left() said");
	FUZZ_CHECK(exchange->stage != STAGE_OVER, "the end of an exchange that is over");
	FUZZ_CHECK(!bad || exchange->stage < STAGE_END, "BAD_EXCHANGE after END");
	FUZZ_CHECK(!bad || (event->status >= 400 && event->status < 600 && event->reason),
	        "BAD_EXCHANGE without status or reason");
	note(run, event->kind, event->id, bad ? (uint64_t)event->status : 0, exchange->body.length,
	        exchange->body.hash);
	exchange->stage = complete ? STAGE_END : STAGE_OVER;
	if (exchange->answered)
		forget(run, exchange);
	else if (run->oracle->answer != ANSWER_LATE || !run->protocol->multiplexes)
		answer(run, exchange);
}

static void on_reply(struct run *run, const struct wire_event *event)
{
	struct sum sum = { 0 };

	FUZZ_CHECK(event->reply_length > 0 && event->reply_length <= EVENT_REPLY_MAX, "REPLY");
	sum_add(&sum, (struct span){ event->reply, event->reply_length });
	note(run, EVENT_REPLY, 0, sum.length, sum.hash, event->reply_closes);
}

static void on_event(struct run *run, const struct wire_event *event)
{
	struct exchange *exchange = find(run, event->id);

	if (event->kind == EVENT_REPLY) {
		on_reply(run, event);
		return;
	}
	FUZZ_CHECK(run->protocol->multiplexes || event->id == 1, "an id other than 1");
	FUZZ_CHECK(exchange || event->kind == EVENT_BEGIN, "an exchange that is not open");
	switch (event->kind) {
	case EVENT_BEGIN:
		on_begin(run, event);
		break;
	case EVENT_VARIABLES:
	case EVENT_FIELDS:
		on_pairs(run, exchange, event);
		break;
	case EVENT_PAIR:
		on_pair(run, exchange, event);
		break;
	case EVENT_PART:
		on_part(run, exchange, event);
		break;
	case EVENT_HEAD:
		on_head(run, exchange);
		break;
	case EVENT_BODY:
		on_body(run, exchange, event);
		break;
	case EVENT_END:
	case EVENT_ABORT:
	case EVENT_BAD_EXCHANGE:
		on_over(run, exchange, event);
		break;
	default:
		FUZZ_CHECK(false, "an event that there is not");
	}
}

/* Pulls all events of the bytes shown; returns what is left unread. */
static struct span pull(struct run *run, struct span in)
{
	const uint8_t *const behind = in.data + in.length;
	size_t most = 4 * in.length + 64; /* events, so that it ends */
	enum decode_result result = DECODE_MORE;
	struct wire_event event;

	while (!run->bad) {
		FUZZ_CHECK(most-- > 0, "events without end");
		memset(&event, 0xa5, sizeof event);
		result = run->protocol->decode(run->state, &run->oracle->limits, &in, &event);
		FUZZ_CHECK(in.data + in.length == behind, "bytes taken from the wrong end");
		if (result != DECODE_EVENT)
			break;
		on_event(run, &event);
	}
	FUZZ_CHECK(result == DECODE_BAD || result == DECODE_MORE, "result");
	if (result == DECODE_BAD) {
		FUZZ_CHECK(event.reason, "DECODE_BAD without a reason");
		FUZZ_CHECK(event.status == 0 || (event.status >= 400 && event.status < 600),
		        "DECODE_BAD with a status that is none");
		note(run, NOTE_BAD, 0, (uint64_t)event.status, (uintptr_t)event.reason, 0);
		run->bad = true;
	}
	FUZZ_CHECK(run->bad || in.length <= run->oracle->limits.header_size + VALUES_MAX,
	        "more bytes unread than a head may have");
	return in;
}

static void run_open(struct run *run, const struct protocol *protocol, const struct oracle *oracle)
{
	*run = (struct run){ .protocol = protocol, .oracle = oracle };
	run->state = calloc(1, protocol->state_size);
}

/* Notes what did not end. */
static void run_finish(struct run *run)
{
	for (unsigned i = 0; i < run->count; i++) {
		const struct exchange *exchange = &run->open[i];

		note(run, NOTE_REST, exchange->id, exchange->stage, exchange->body.length,
		        exchange->body.hash ^
		                (exchange->stage == STAGE_PIECES ? exchange->pair.length : 0));
	}
}

static void run_close(struct run *run)
{
	free(run->state);
	free(run->notes);
}

/* `unread` and `length` more bytes in memory of their own, which ends where they end. */
static uint8_t *copy(struct span unread, const uint8_t *bytes, size_t length)
{
	uint8_t *shown = malloc(unread.length + length);

	if (unread.length)
		memcpy(shown, unread.data, unread.length);
	if (length)
		memcpy(shown + unread.length, bytes, length);
	return shown;
}

static void deliver_whole(struct run *run, const uint8_t *bytes, size_t length)
{
	uint8_t *shown = copy((struct span){ 0 }, bytes, length);

	pull(run, (struct span){ shown, length });
	free(shown);
}

/* In place: what has not come yet, and what was taken, must not be touched. */
static void deliver_bytes(struct run *run, const uint8_t *bytes, size_t length)
{
	uint8_t *shown = copy((struct span){ 0 }, bytes, length);
	size_t start = 0;

	ASAN_POISON_MEMORY_REGION(shown, length);
	for (size_t end = 1; end <= length && !run->bad; end++) {
		ASAN_UNPOISON_MEMORY_REGION(shown + start, end - start);
		struct span unread = pull(run, (struct span){ shown + start, end - start });

		ASAN_POISON_MEMORY_REGION(shown + start, (end - unread.length) - start);
		start = end - unread.length;
	}
	ASAN_UNPOISON_MEMORY_REGION(shown, length);
	free(shown);
}

/* A piece of none to a few bytes, now and then of many. */
static size_t next_piece(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 29 ? *seed >> 20 & 15 : *seed >> 8 & 1023;
}

static void deliver_pieces(struct run *run, const uint8_t *bytes, size_t length)
{
	uint32_t seed = run->oracle->seed;
	struct span unread = { 0 };
	uint8_t *before = NULL;

	for (size_t at = 0; at < length && !run->bad;) {
		size_t piece = next_piece(&seed);

		piece = piece < length - at ? piece : length - at;
		uint8_t *shown = copy(unread, bytes + at, piece);

		free(before);
		before = shown;
		unread = pull(run, (struct span){ shown, unread.length + piece });
		at += piece;
	}
	free(before);
}

typedef void delivery(struct run *run, const uint8_t *bytes, size_t length);

void oracle_check(const struct protocol *protocol, const struct oracle *oracle,
        const uint8_t *bytes, size_t length)
{
	static delivery *const others[] = { deliver_bytes, deliver_pieces };
	struct run whole, other;

	run_open(&whole, protocol, oracle);
	deliver_whole(&whole, bytes, length);
	run_finish(&whole);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		run_open(&other, protocol, oracle);
		others[i](&other, bytes, length);
		run_finish(&other);
		FUZZ_CHECK(other.note_count == whole.note_count && other.bad == whole.bad &&
		                   (whole.note_count == 0 ||
		                           memcmp(other.notes, whole.notes,
		                                   whole.note_count * sizeof *whole.notes) == 0),
		        i ? "other events in pieces" : "other events byte by byte");
		run_close(&other);
	}
	run_close(&whole);
}
