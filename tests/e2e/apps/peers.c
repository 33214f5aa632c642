/*
 * Counts the TCP connections of its worker by their peers' ports. One worker only.
 *
 *	GET /from   forgets; what is open now does not count
 *	GET /       says how many were opened since, as far as a request came on each
 */
#include <anygate.h>
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

#define DESCRIPTORS 4096

static bool seen[65536];
static int count;

/* The connection that a handler answers on is open while it runs. */
static void look(void)
{
	for (int fd = 3; fd < DESCRIPTORS; fd++) {
		struct sockaddr_in peer = { 0 };
		socklen_t length = sizeof peer;

		if (getpeername(fd, (struct sockaddr *)&peer, &length) < 0 ||
		        peer.sin_family != AF_INET)
			continue;
		count += !seen[ntohs(peer.sin_port)];
		seen[ntohs(peer.sin_port)] = true;
	}
}

static int from(struct ag_request *req)
{
	memset(seen, 0, sizeof seen);
	look();
	count = 0;
	ag_puts(req, "0\n");
	return 200;
}

static int peers(struct ag_request *req)
{
	look();
	ag_printf(req, "%d\n", count);
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/from", from);
	ag_get(app, "/", peers);
}
