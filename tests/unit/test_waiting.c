/* Answers and bodies that take their time: streaming, slow and gone clients, reading. */
#include <stdlib.h>
#include <string.h>

#include "app/response.h"
#include "tests/support/loopback.h"

SUITE(waiting);

static struct loopback loop;
static int answer; /* of the call under test */

/* ---- streaming, slow and gone clients ---- */

static int streams(struct ag_request *req)
{
	size_t size = strtoul(ag_arg(req, "size", "0"), NULL, 10);
	size_t piece = strtoul(ag_arg(req, "piece", "1000"), NULL, 10);
	const char *length = ag_arg(req, "length", NULL);
	char *noise = support_noise(size);

	if (length)
		ag_set_header(req, "Content-Length", length);
	ag_status(req, 201);
	answer = 0;
	for (size_t at = 0; at < size && !answer; at += piece)
		answer = ag_write(req, noise + at, size - at < piece ? size - at : piece);
	if (size > REQUEST_BUFFER) {
		cr_expect_eq(ag_status(req, 202), AG_INVALID, "the head is sent");
		cr_expect_eq(ag_set_header(req, "X", "y"), AG_INVALID);
	}
	free(noise);
	return 200;
}

static const struct {
	const char *method, *target;
	size_t size;
	int status, answer;
	int64_t length;
	bool cut;
} stream_rows[] = {
	{ "GET", "/?size=16384", 16384, 200, 0, 16384, false },
	{ "GET", "/?size=16384&piece=16384", 16384, 200, 0, 16384, false },
	{ "GET", "/?size=16385", 16385, 201, 0, -1, false },
	{ "GET", "/?size=16385&piece=16385", 16385, 201, 0, -1, false },
	{ "GET", "/?size=300000&piece=300000", 300000, 201, 0, -1, false },
	{ "GET", "/?size=300000&piece=1", 300000, 201, 0, -1, false },
	{ "GET", "/?size=300000&length=300000", 300000, 201, 0, 300000, false },
	{ "GET", "/?size=300000&length=300001", 300000, 201, 0, 300001, true },
	{ "GET", "/?size=300000&length=299999", 299000, 201, AG_INVALID, 299999, true },
};

Test(waiting, streaming)
{
	for (size_t i = 0; i < 2 * COUNT(stream_rows); i++) {
		const char *target = stream_rows[i / 2].target;
		size_t size = stream_rows[i / 2].size;
		char *noise = support_noise(size == 299000 ? 300000 : size);

		loopback_serve(&loop, streams);
		loop.slow = i & 1;
		loopback_ask(&loop, stream_rows[i / 2].method, target);
		while (!loop.finished) {
			cr_assert(loop.slow && loop.req->handler.waiting == WAITING_ROOM, "%s",
			        target);
			loopback_room(&loop);
		}
		cr_expect_eq(loop.status, stream_rows[i / 2].status, "%s: %d", target, loop.status);
		cr_expect_eq(answer, stream_rows[i / 2].answer, "%s: %d", target, answer);
		cr_expect_eq(
		        loop.length, stream_rows[i / 2].length, "%s: %ld", target, loop.length);
		cr_expect_eq(loop.cut_short, stream_rows[i / 2].cut, "%s", target);
		cr_expect_eq(loop.waits, loop.slow ? loop.pieces - 1 : 0, "%s", target);
		cr_assert_eq(loop.body.length, size, "%s: %zu bytes", target, loop.body.length);
		cr_expect_arr_eq(loop.body.data, noise, size, "%s", target);
		free(noise);
		loopback_close(&loop);
	}
}

/* ---- whose handler runs ---- */

static int sleeps_between(struct ag_request *req)
{
	cr_expect_eq(loop.runtime.current, req, "as it begins");
	ag_sleep(req, 1);
	cr_expect_eq(loop.runtime.current, req, "as it goes on");
	return 200;
}

Test(waiting, current_request)
{
	loopback_serve(&loop, sleeps_between);
	loopback_ask(&loop, "GET", "/");
	cr_expect(!loop.finished && !loop.runtime.current, "while it waits");
	cr_expect_gt(loop.req->since, 0);
	loopback_run(&loop);
	cr_expect(loop.finished && !loop.runtime.current, "when it is over");
	loopback_close(&loop);
}

/* What a wait answers is written down here. */
static int waited[4];

static int waits_for_all(struct ag_request *req)
{
	const char *what = ag_query(req);
	char byte;

	if (strcmp(what, "read") == 0)
		waited[0] = (int)ag_read(req, &byte, 1);
	else if (strcmp(what, "write") == 0)
		waited[0] = ag_puts(req, "x") ? 99 : ag_flush(req);
	else
		waited[0] = ag_sleep(req, 3600000);
	waited[1] = ag_aborted(req);
	waited[2] = ag_sleep(req, 1);
	waited[3] = ag_puts(req, "more");
	return 200;
}

static const struct {
	const char *target;
	bool broken, wakes;
	int answer, written;
} gone_rows[] = {
	{ "/?read", true, true, AG_GONE, AG_GONE }, { "/?read", false, true, AG_GONE, 0 },
	{ "/?sleep", true, true, AG_GONE, AG_GONE }, { "/?sleep", false, true, AG_GONE, 0 },
	{ "/?write", true, true, AG_GONE, AG_GONE },
	{ "/?write", false, false, 0, 0 }, /* gone for sending only: it still takes the answer */
};

Test(waiting, client_goes_away)
{
	loopback_serve(&loop, waits_for_all);
	loop.slow = true;
	for (size_t i = 0; i < COUNT(gone_rows); i++) {
		const char *target = gone_rows[i].target;

		memset(waited, 0x55, sizeof waited);
		loop.broken = false;
		loopback_head(&loop, PAIRS({ "REQUEST_METHOD", "GET" }, { "REQUEST_URI", target }));
		if (strcmp(target, "/?read") != 0)
			loopback_end(&loop);
		loopback_start(&loop);
		cr_assert_not(loop.finished, "%s does not wait", target);
		loopback_gone(&loop, gone_rows[i].broken);
		cr_assert_eq(loop.finished, gone_rows[i].wakes, "%s", target);
		if (!loop.finished)
			loopback_room(&loop);
		cr_assert(loop.finished, "%s", target);
		cr_expect_eq(waited[0], gone_rows[i].answer, "%s: %d", target, waited[0]);
		cr_expect_eq(waited[1], true, "%s", target);
		cr_expect_eq(waited[2], AG_GONE, "%s: %d", target, waited[2]);
		cr_expect_eq(waited[3], gone_rows[i].written, "%s: %d", target, waited[3]);
	}
	loopback_close(&loop);
}

Test(waiting, sleep)
{
	loopback_serve(&loop, waits_for_all);
	loopback_get(&loop, "/?sleep");
	cr_assert_not(loop.finished);
	request_wake(&loop.req->handler, 0);
	cr_assert_eq(waited[0], 0);
	loopback_run(&loop);
	cr_expect(loop.finished);
	cr_expect_eq(waited[2], 0);
	cr_expect_eq(loop.status, 200);
	loopback_expect_body(&loop, "sleep", "more");
	loopback_close(&loop);
}

/* ---- the body ---- */

static int reads(struct ag_request *req)
{
	char buffer[3];
	ssize_t n;

	while ((n = ag_read(req, buffer, sizeof buffer)) > 0)
		ag_write(req, buffer, (size_t)n);
	answer = (int)n;
	cr_expect_eq(ag_read(req, buffer, sizeof buffer), n, "it goes on answering that");
	return 200;
}

/*
 * Steps: ">" the handler starts, "e" the body ends, "t" it was too slow, "g" the client is gone,
 * "b" and takes nothing; other letters in capitals are bytes of the body.
 */
static const struct {
	const char *name, *length, *steps; /* length NULL: not announced */
	int answer, status;
	const char *body;
} body_rows[] = {
	{ "all there", "6", "ABCDEF e >", 0, 200, "ABCDEF" },
	{ "all there, length unknown", NULL, "ABCDEF e >", 0, 200, "ABCDEF" },
	{ "none", NULL, "e >", 0, 200, "" },
	{ "comes later", "6", "> ABCDEF e", 0, 200, "ABCDEF" },
	{ "in pieces", "6", "A > B CD EF e", 0, 200, "ABCDEF" },
	{ "in pieces, length unknown", NULL, "> A B C D e", 0, 200, "ABCD" },
	{ "the end comes later", "2", "AB > e", 0, 200, "AB" },
	{ "more than announced", "2", "> ABCD e", 0, 200, "AB" },
	{ "ends early", "6", "> ABC e", AG_REFUSED, 400, "400 Bad Request\n" },
	{ "ended early", "6", "ABC e >", 0, 400, "400 Bad Request\n" },
	{ "too slow", "6", "> ABC t", AG_TIMEOUT, 408, "408 Request Timeout\n" },
	{ "too slow, nothing came", "6", "> t", AG_TIMEOUT, 408, "408 Request Timeout\n" },
	{ "too large", NULL, "> ABCDEFGHI", AG_REFUSED, 413, "413 Content Too Large\n" },
	{ "too large before it starts", NULL, "ABCDEFGHI", 0, 413, "413 Content Too Large\n" },
	{ "as large as may be", NULL, "> ABCDEFGH e", 0, 200, "ABCDEFGH" },
	{ "gone", "6", "> ABC g", AG_GONE, 400, "400 Bad Request\n" },
	{ "gone after the end", "3", "ABC e > g", 0, 200, "ABC" },
	{ "aborted", "6", "> ABC b", AG_GONE, 0, "" },
};

static void play(char step, const char *bytes, size_t count)
{
	if (step == '>')
		loopback_start(&loop);
	else if (step == 'e')
		loopback_end(&loop);
	else if (step == 't')
		loopback_fail(&loop, AG_TIMEOUT, 408);
	else if (step == 'g' || step == 'b')
		loopback_gone(&loop, step == 'b');
	else
		loopback_body(&loop, bytes, count);
}

static void check_reading(size_t i)
{
	const char *name = body_rows[i].name, *length = body_rows[i].length;
	struct pair_text pairs[] = { { "REQUEST_METHOD", "POST" }, { NULL, NULL }, { NULL, NULL } };

	if (length)
		pairs[1] = (struct pair_text){ "CONTENT_LENGTH", length };
	loopback_serve(&loop, reads);
	loop.limits.body_size = 8;
	loop.limits.body_memory = 4;
	answer = 0;
	cr_assert_eq(loopback_head(&loop, pairs), 0, "%s", name);
	for (const char *at = body_rows[i].steps; *at && !loop.finished;) {
		size_t count = strcspn(at, " ");

		play(*at, at, count);
		at += count + (at[count] == ' ');
	}
	cr_assert(loop.finished, "%s", name);
	cr_expect_eq(answer, body_rows[i].answer, "%s: %d", name, answer);
	cr_expect_eq(loop.status, body_rows[i].status, "%s: %d", name, loop.status);
	loopback_expect_body(&loop, name, body_rows[i].body);
	loopback_close(&loop);
}

Test(waiting, reading)
{
	for (size_t i = 0; i < COUNT(body_rows); i++)
		check_reading(i);
}
