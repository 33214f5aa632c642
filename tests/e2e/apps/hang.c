/*
 * Answers without end, and what became of them. Counts in a static: one worker only.
 *
 *	GET /           begins an answer and goes on until the client has gone, at most ?ms=
 *	GET /begun/:n   waits until there were n such requests
 *	GET /ended/:n   waits until n have ended
 *
 * Both say: begun, ended, and how many of these were told that their client had gone.
 */
#include <anygate.h>
#include <stdlib.h>
#include <string.h>

#define STEP 5 /* ms */

static int begun, ended, gone;

static int hang(struct ag_request *req)
{
	char piece[1024];
	int left = atoi(ag_arg(req, "ms", "0")) / STEP, told = 0;

	memset(piece, '.', sizeof piece);
	begun++;
	while (left-- > 0 && !told)
		told = ag_write(req, piece, sizeof piece) < 0 || ag_flush(req) < 0 ||
		       ag_sleep(req, STEP) < 0;
	gone += told;
	ended++;
	return 200;
}

/* Until the counter is at what the path asks for, or two minutes have gone. */
static int wait_for(struct ag_request *req, const int *counter)
{
	for (int left = 120000 / STEP; *counter < atoi(ag_param(req, "n")) && left; left--)
		if (ag_sleep(req, STEP) < 0)
			return 500;
	ag_printf(req, "%d %d %d\n", begun, ended, gone);
	return 200;
}

static int wait_begun(struct ag_request *req)
{
	return wait_for(req, &begun);
}

static int wait_ended(struct ag_request *req)
{
	return wait_for(req, &ended);
}

AG_APP(app)
{
	ag_get(app, "/", hang);
	ag_get(app, "/begun/:n", wait_begun);
	ag_get(app, "/ended/:n", wait_ended);
}
