/*
 * A clock by server-sent events: the page at "/" shows the time, told each second by "/time".
 *
 *	cc -shared -fPIC clock.c -o clock.so
 *	anygate -l http=127.0.0.1:8080 ./clock.so
 *	curl -N http://127.0.0.1:8080/time
 */
#include <anygate.h>
#include <time.h>

static const char html[] =
        "<!DOCTYPE html>\n<meta charset=utf-8>\n<title>Clock</title>\n"
        "<time>--:--:--</time>\n"
        "<script>\n"
        "const clock = document.querySelector('time');\n"
        "const events = new EventSource('time');\n"
        "events.addEventListener('tick', event => { clock.textContent = event.data; });\n"
        "events.onerror = () => { clock.textContent = 'Trying again ...'; };\n"
        "</script>\n";

static int page(struct ag_request *req)
{
	ag_set_header(req, "Content-Type", "text/html; charset=utf-8");
	ag_puts(req, html);
	return 200;
}

/* Until the client has gone: the calls say so. */
static int tell(struct ag_request *req)
{
	struct timespec now;
	struct tm local;
	char text[16];
	int error = ag_sse_begin(req, NULL);

	while (!error) {
		clock_gettime(CLOCK_REALTIME, &now);
		localtime_r(&now.tv_sec, &local);
		strftime(text, sizeof text, "%H:%M:%S", &local);
		error = ag_sse_send(req, "tick", NULL, text);
		if (!error)
			error = ag_sleep(req, 1000 - (unsigned)(now.tv_nsec / 1000000));
	}
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/", page);
	ag_get(app, "/time", tell);
}
