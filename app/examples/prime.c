/*
 * A WebSocket: says of each number it is sent whether it is prime, to the sender only. The page at
 * "/" talks to it.
 *
 *	cc -shared -fPIC prime.c -o prime.so
 *	anygate -l http=127.0.0.1:8080 ./prime.so
 */
#include <anygate.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* So that one number takes milliseconds: nothing else runs in the worker meanwhile. */
#define LARGEST 1000000000000LL

static const char page[] =
        "<!DOCTYPE html>\n<meta charset=utf-8>\n<title>Prime?</title>\n"
        "<form><input name=number autofocus> <button>Is it prime?</button></form>\n<pre></pre>\n"
        "<script>\n"
        "const form = document.querySelector('form'), out = document.querySelector('pre');\n"
        "const ws = new WebSocket(location.href.replace(/^http/, 'ws'));\n"
        "ws.onmessage = event => out.append(event.data + '\\n');\n"
        "ws.onclose = event => out.append('closed: ' + event.code + '\\n');\n"
        "form.onsubmit = event => {\n"
        "	event.preventDefault();\n"
        "	ws.send(form.number.value);\n"
        "	form.reset();\n"
        "};\n"
        "</script>\n";

static bool is_prime(long long number)
{
	if (number < 4)
		return number > 1;
	if (number % 2 == 0)
		return false;
	for (long long i = 3; i * i <= number; i += 2)
		if (number % i == 0)
			return false;
	return true;
}

/* A whole number, and nothing else. */
static bool read_number(const struct ag_ws_message *message, long long *number)
{
	const char *text = message->data;
	char *end;

	if (message->kind != AG_WS_TEXT || strlen(text) != message->length)
		return false;
	if (!*text || text[strspn(text, "+-0123456789")])
		return false;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return !errno && end > text && !*end && *number <= LARGEST;
}

static int prime(struct ag_request *req)
{
	if (!ag_ws_wanted(req)) {
		ag_set_header(req, "Content-Type", "text/html; charset=utf-8");
		ag_puts(req, page);
		return 200;
	}
	struct ag_ws *ws = ag_ws_accept(req, NULL);
	struct ag_ws_message message;
	long long number;

	while (ag_ws_recv(ws, &message) == 0)
		if (read_number(&message, &number))
			ag_ws_printf(ws, "%lld is %sprime", number, is_prime(number) ? "" : "not ");
		else
			ag_ws_printf(ws, "Invalid input");
	return ag_ws_status(req);
}

AG_APP(app)
{
	ag_get(app, "/", prime);
}
