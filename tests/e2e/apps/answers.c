/* Answers of all kinds: statuses, large heads, redirects, cookies. */
#include <anygate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One header of ?bytes= bytes of value. */
static int large_head(struct ag_request *req)
{
	size_t size = (size_t)atoi(ag_arg(req, "bytes", "0"));
	char *value = ag_alloc(req, size + 1);

	if (!value)
		return 500;
	memset(value, 'v', size);
	value[size] = '\0';
	if (ag_set_header(req, "X-Large", value) < 0)
		return 500;
	ag_puts(req, "large\n");
	return 200;
}

/* Any status, with a body where one may be. */
static int any_status(struct ag_request *req)
{
	int status = atoi(ag_param(req, "status"));

	ag_set_header(req, "X-Status", ag_param(req, "status"));
	if (status != 204 && status != 304)
		ag_puts(req, "a body\n");
	return status;
}

static int redirect(struct ag_request *req)
{
	return ag_redirect(req, 303, "/elsewhere?a=b");
}

/* Shows the cookies a and b, and sets two. */
static int cookies(struct ag_request *req)
{
	const char *a = ag_cookie(req, "a"), *b = ag_cookie(req, "b");

	ag_set_cookie(req, "first", "1", "Path=/; HttpOnly");
	ag_set_cookie(req, "second", "2", NULL);
	ag_printf(req, "%s,%s\n", a ? a : "-", b ? b : "-");
	return 200;
}

/* Streams two pieces, flushed apart, without a length. */
static int pieces(struct ag_request *req)
{
	ag_puts(req, "one\n");
	ag_flush(req);
	ag_sleep(req, 1);
	ag_puts(req, "two\n");
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/large", large_head);
	ag_route(app, NULL, "/status/:status", any_status);
	ag_get(app, "/redirect", redirect);
	ag_get(app, "/cookies", cookies);
	ag_get(app, "/pieces", pieces);
}
