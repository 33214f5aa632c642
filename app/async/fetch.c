/* Asking another server on behalf of a task, which waits for the answer. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "fetch_private.h"

#define TIMEOUT_MS_USUALLY 60000

static uint64_t now_ms(void)
{
	return request_clock() / 1000;
}

/* ---- what came ---- */

/* The next name and value at `*at`; false past the last. */
static bool next_field(
        const struct ag_fetch_result *result, size_t *at, const char **name, const char **value)
{
	if (*at >= result->headers_size)
		return false;
	*name = result->headers + *at;
	*value = *name + strlen(*name) + 1;
	*at = (size_t)(*value - result->headers) + strlen(*value) + 1;
	return true;
}

const char *ag_fetch_header(const struct ag_fetch_result *result, const char *name)
{
	const char *each, *value;
	size_t at = 0;

	while (next_field(result, &at, &each, &value))
		if (strcasecmp(each, name) == 0)
			return value;
	return NULL;
}

bool ag_fetch_header_at(
        const struct ag_fetch_result *result, size_t i, const char **name, const char **value)
{
	size_t at = 0;

	while (next_field(result, &at, name, value))
		if (!i--)
			return true;
	return false;
}

/* The request takes it over. */
static bool hand_over(struct ag_request *req, struct fetch_text *from, const char **text)
{
	if (!from->data)
		return true; /* "" is there already */
	if (!arena_keep(&req->arena, from->data))
		return false;
	*text = from->data;
	from->data = NULL;
	return true;
}

/* The head becomes the result's, where it has come. False: no memory. */
static bool tell_head(struct fetch *fetch)
{
	struct ag_fetch_result *result = fetch->result;
	const char *url = NULL;
	long status = 0;

	if (!fetch->head_came || fetch->head_told)
		return true;
	fetch->head_told = true;
	curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(fetch->easy, CURLINFO_EFFECTIVE_URL, &url);
	result->status = (int)status;
	if (url)
		url = arena_copy(&fetch->req->arena, url, strlen(url));
	if (!url || !hand_over(fetch->req, &fetch->head, &result->headers))
		return false;
	result->url = url;
	result->headers_size = fetch->head.size;
	return true;
}

/* ---- while it is on its way ---- */

/* Whether it waits for bytes of the request's body that have not come. */
static bool is_starved(const struct fetch *fetch)
{
	const struct ag_request *req = fetch->req;

	return fetch->hungry && !req->body_error && !req->body_ended && !request_body_unread(req);
}

/* The next piece of the request's body, where it is wanted and here. */
static int feed(struct fetch *fetch, bool *moved)
{
	if (!fetch->hungry || is_starved(fetch))
		return 0;
	if (!fetch->input)
		fetch->input = malloc(FETCH_INPUT_SIZE);
	if (!fetch->input)
		return AG_NOMEM;
	ssize_t size = ag_read(fetch->req, fetch->input, FETCH_INPUT_SIZE);

	if (size < 0)
		return (int)size;
	fetch->at = fetch->input;
	fetch->left = (size_t)size;
	fetch->ended = !size;
	fetch->hungry = false;
	fetcher_go_on(fetch);
	*moved = true;
	return 0;
}

/* What has come goes to `take`: the head, then a piece. */
static int pass_on(struct fetch *fetch, bool *moved)
{
	const struct ag_fetch_spec *spec = fetch->spec;
	int answer = 0;

	if (!spec->take || !fetch->head_came || (fetch->head_told && !fetch->body.size))
		return 0;
	*moved = true;
	if (!fetch->head_told) {
		if (!tell_head(fetch))
			return AG_NOMEM;
		return spec->take(fetch->req, spec->argument, "", 0);
	}
	answer = spec->take(fetch->req, spec->argument, fetch->body.data, fetch->body.size);
	fetch->body.size = 0;
	if (!answer && fetch->held) {
		fetch->held = false;
		fetcher_go_on(fetch);
	}
	return answer;
}

/* Suspends until there is something to do; at `deadline` (0: none) for as long as we wait for the
 * peer. */
static int await(struct fetch *fetch, uint64_t deadline)
{
	bool starved = is_starved(fetch);
	uint64_t now = now_ms();
	unsigned ms = AG_FOREVER;

	if (deadline && !starved) {
		if (now >= deadline)
			return AG_SLOW;
		ms = (unsigned)(deadline - now);
	}
	fetch->task = waiting_task(fetch->req);
	int answer = async_wait(fetch->req, starved ? WAITING_FEED : WAITING_FETCH, ms, AG_SLOW);

	fetch->task = NULL;
	return answer;
}

/* Until it is over and all of it was passed on. */
static int carry(struct fetch *fetch)
{
	unsigned ms = fetch->spec->timeout_ms ? fetch->spec->timeout_ms : TIMEOUT_MS_USUALLY;
	uint64_t deadline = ms == AG_FOREVER ? 0 : now_ms() + ms;

	for (;;) {
		bool moved = false;
		int answer = request_check(fetch->req);

		if (!answer)
			answer = feed(fetch, &moved);
		if (!answer)
			answer = pass_on(fetch, &moved);
		if (!answer && !moved) {
			if (fetch->over)
				return 0;
			answer = await(fetch, deadline);
		} else if (deadline) {
			deadline = now_ms() + ms;
		}
		if (answer)
			return answer;
	}
}

/* ---- its end ---- */

static const struct {
	CURLcode code;
	int answer;
} answers[] = {
	{ CURLE_OK, 0 },
	{ CURLE_COULDNT_RESOLVE_HOST, AG_UNREACHABLE },
	{ CURLE_COULDNT_CONNECT, AG_UNREACHABLE },
	{ CURLE_SSL_CONNECT_ERROR, AG_UNREACHABLE },
	{ CURLE_PEER_FAILED_VERIFICATION, AG_UNTRUSTED },
	{ CURLE_SSL_CACERT_BADFILE, AG_UNTRUSTED },
	{ CURLE_OPERATION_TIMEDOUT, AG_SLOW },
	{ CURLE_OUT_OF_MEMORY, AG_NOMEM },
};

static bool is_sent(const struct fetch *fetch)
{
	long bytes = 0;

	curl_easy_getinfo(fetch->easy, CURLINFO_REQUEST_SIZE, &bytes);
	return bytes > 0;
}

static int answer_of(const struct fetch *fetch)
{
	bool bad_url = fetch->code == CURLE_URL_MALFORMAT || fetch->code == CURLE_LOGIN_DENIED;

	if (fetch->failed)
		return fetch->failed;
	if (bad_url && !fetch->moved)
		return AG_INVALID;
	if (!fetch->head_came && is_sent(fetch)) {
		/* what libcurl says of a line that never ends, or of a head that is cut off */
		if (fetch->code == CURLE_OUT_OF_MEMORY)
			return AG_TOO_LARGE;
		if (fetch->code == CURLE_OK)
			return AG_BAD_ANSWER;
	}
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++)
		if (answers[i].code == fetch->code)
			return answers[i].answer;
	return AG_BAD_ANSWER;
}

/* What libcurl says then depends on what it wanted them for, which is two at most. */
static bool lacks_descriptors(const struct fetch *fetch)
{
	int pair[2];

	if (fetch->code != CURLE_COULDNT_RESOLVE_HOST && fetch->code != CURLE_COULDNT_CONNECT &&
	        fetch->code != CURLE_SSL_CACERT_BADFILE && fetch->code != CURLE_OUT_OF_MEMORY)
		return false;
	if (is_sent(fetch))
		return false;
	if (pipe2(pair, O_CLOEXEC) < 0)
		return errno == EMFILE || errno == ENFILE;
	close(pair[0]);
	close(pair[1]);
	return false;
}

static const char *reason_of(const struct fetch *fetch, int answer)
{
	if (answer == AG_SLOW && !fetch->over)
		return "the peer was silent for timeout_ms";
	if (answer == AG_TOO_LARGE)
		return fetch->head_came ? "the answer is larger than limit"
		                        : "the answer's head is larger than 64 KiB";
	if (!fetch->over)
		return "";
	if (fetch->code == CURLE_OK)
		return "the answer's head is cut off";
	return *fetch->error ? fetch->error : curl_easy_strerror(fetch->code);
}

/* What the peer has a part in is not to break a line. */
static const char *line_of(struct ag_request *req, const char *text)
{
	char *line = arena_copy(&req->arena, text, strlen(text));

	for (char *at = line; at && *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	return line ? line : "";
}

static int conclude(struct fetch *fetch, int answer)
{
	struct ag_fetch_result *result = fetch->result;

	bool lacks = !answer && !fetch->failed && lacks_descriptors(fetch);

	if (!answer)
		answer = lacks ? AG_UNREACHABLE : answer_of(fetch);
	if (lacks || !answer)
		fetcher_lacks(fetch, lacks);
	if (!tell_head(fetch) && !answer)
		answer = AG_NOMEM;
	if (!answer && !fetch->spec->take) {
		if (hand_over(fetch->req, &fetch->body, &result->body))
			result->body_size = fetch->body.size;
		else
			answer = AG_NOMEM;
	}
	if (answer)
		result->error = lacks ? FETCH_LACKS : line_of(fetch->req, reason_of(fetch, answer));
	return answer;
}

static int run(struct fetch *fetch)
{
	int answer = AG_NOMEM;

	fetch->fetcher = fetcher_get(fetch->req->runtime);
	fetch->easy = fetch->fetcher ? curl_easy_init() : NULL;
	if (!fetch->easy)
		return AG_NOMEM;
	if (fetch_prepare(fetch) && fetcher_add(fetch)) {
		answer = conclude(fetch, carry(fetch));
		fetcher_remove(fetch);
	}
	curl_easy_cleanup(fetch->easy);
	curl_slist_free_all(fetch->lines);
	free(fetch->input);
	free(fetch->head.data);
	free(fetch->body.data);
	return answer;
}

int ag_fetch(
        struct ag_request *req, const struct ag_fetch_spec *spec, struct ag_fetch_result *result)
{
	static const struct ag_fetch_result none = {
		.url = "", .headers = "", .body = "", .error = ""
	};
	struct fetch fetch = { .req = req, .spec = spec, .result = result };
	int answer = request_check(req);

	*result = none;
	if (answer)
		return answer;
	const char *fault = fetch_fault(req, spec);

	if (fault) {
		result->error = fault;
		return AG_INVALID;
	}
	answer = slot_await(req, &req->runtime->fetches);
	if (answer)
		return answer;
	answer = run(&fetch);
	slot_free(&req->runtime->fetches);
	return answer;
}
