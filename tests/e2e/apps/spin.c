/* Keeps the processor for ever, but not under /ok. */
#include <anygate.h>

static volatile unsigned long turns;

__attribute__((noinline)) static void spin_here(void)
{
	for (;;)
		turns++;
}

static int spin(struct ag_request *req)
{
	(void)req;
	spin_here();
	return 200;
}

static int ok(struct ag_request *req)
{
	ag_puts(req, "ok\n");
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/", spin);
	ag_get(app, "/ok", ok);
}
