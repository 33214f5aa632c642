/* Ways to die: GET /HOW, at once, or after ?ms= of sleep. GET / answers. */
#include <anygate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEPT __attribute__((noinline)) static

static volatile int zero;
static int *volatile nowhere;

/* A frame of its own: no call of it becomes a jump. */
KEPT int write_through(int *pointer)
{
	*(volatile int *)pointer = 1;
	return zero;
}

KEPT int nested_here(int *pointer)
{
	return write_through(pointer) + 1;
}

KEPT int segv_here(struct ag_request *req)
{
	(void)req;
	*(volatile int *)nowhere = 1;
	return 200;
}

KEPT int nested(struct ag_request *req)
{
	(void)req;
	return 200 + nested_here(nowhere);
}

KEPT int abort_here(struct ag_request *req)
{
	(void)req;
	abort();
}

KEPT int divide_here(struct ag_request *req)
{
	(void)req;
	return 200 / zero;
}

KEPT int illegal_here(struct ag_request *req)
{
	(void)req;
	__builtin_trap();
}

KEPT int trap_here(struct ag_request *req)
{
	(void)req;
	__asm__ volatile("int3");
	return 200;
}

/* Jumps to where no code is. */
KEPT int call_here(struct ag_request *req)
{
	int (*volatile function)(struct ag_request *) = NULL;

	return function(req) + 1;
}

/* The caller's frames are gone when it returns to one of them. */
KEPT int smash_here(struct ag_request *req)
{
	volatile uintptr_t *frame = (volatile uintptr_t *)__builtin_frame_address(0);

	(void)req;
	for (int i = -2; i < 8; i++)
		frame[i] = 0x100 + (uintptr_t)i;
	return write_through(nowhere);
}

KEPT unsigned recur_here(unsigned depth)
{
	volatile char frame[512];

	memset((char *)frame, (int)depth, sizeof frame);
	if (zero)
		return 0;
	return recur_here(depth + 1) + (unsigned char)frame[depth % sizeof frame];
}

KEPT int overflow(struct ag_request *req)
{
	(void)req;
	return (int)recur_here(1);
}

KEPT int sleeps(struct ag_request *req)
{
	return ag_sleep(req, 3600000) < 0 ? 500 : 200;
}

KEPT int spin_here(struct ag_request *req)
{
	(void)req;
	fputs("spinning\n", stderr);
	while (!zero)
		continue;
	return 200;
}

static const struct {
	const char *how;
	ag_handler *die;
} ways[] = {
	{ "segv", segv_here },
	{ "nested", nested },
	{ "abort", abort_here },
	{ "divide", divide_here },
	{ "illegal", illegal_here },
	{ "trap", trap_here },
	{ "call", call_here },
	{ "smash", smash_here },
	{ "overflow", overflow },
	{ "sleep", sleeps },
	{ "spin", spin_here },
};

static int crash(struct ag_request *req)
{
	const char *how = ag_param(req, "how");

	ag_sleep(req, (unsigned)atoi(ag_arg(req, "ms", "0")));
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (strcmp(ways[i].how, how) == 0)
			return ways[i].die(req);
	return 404;
}

static int fine(struct ag_request *req)
{
	ag_puts(req, "fine\n");
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/", fine);
	ag_get(app, "/:how", crash);
}
