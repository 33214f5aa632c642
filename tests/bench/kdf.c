/*
 * What one client sees of a worker while others make it hash passwords: idle, by ag_offload, and
 * without it.
 *
 *	kdf -a unix:PATH|IPV4:PORT [-c HASHES] [-t SECONDS] [-i MS] [-r ROUNDS]
 *
 * The server is app/examples/kdf.c on one worker. The client asks for / every MS on a connection
 * that stays open; where an answer is late the next question counts from when it was due. HASHES
 * are on the way all the time. Prints the medians of all rounds, which last SECONDS for each of the
 * three.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "latency.h"

#define HASHES_MAX 64
#define ROUNDS_MAX 64

struct bench {
	struct address address;
	unsigned hashes, seconds, every /* ms */, rounds;
	const char *path; /* of the hashes; NULL: none */
	atomic_bool stop;
	atomic_uint done; /* hashes */
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "kdf: %s: %s\n", what, errno ? strerror(errno) : "wrong answer");
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t due)
{
	const struct timespec when = { .tv_sec = (time_t)(due / 1000000000),
		.tv_nsec = (long)(due % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
		;
}

static int dial(const struct bench *bench)
{
	int fd = socket(bench->address.socket.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&bench->address.socket,
	                      bench->address.length) < 0)
		die("can't connect");
	return fd;
}

/* One request and its answer, which comes in one piece. */
static void ask(int fd, const char *request)
{
	char answer[1024];
	size_t length = strlen(request);
	ssize_t n = -1;

	errno = 0;
	if (write(fd, request, length) == (ssize_t)length)
		n = read(fd, answer, sizeof(answer) - 1);
	answer[n > 0 ? n : 0] = '\0';
	if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0)
		die(answer);
}

static void *hash(void *argument)
{
	struct bench *bench = argument;
	char request[128];
	int fd = dial(bench);

	snprintf(request, sizeof(request),
	        "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Length: 8\r\n\r\npassword",
	        bench->path);
	while (!bench->stop) {
		ask(fd, request);
		bench->done++;
	}
	close(fd);
	return NULL;
}

static void pace(const struct bench *bench, struct latency *latency)
{
	uint64_t step = (uint64_t)bench->every * 1000000, begin = now_ns(), due = begin,
	         answered = 0;
	uint64_t end = begin + (uint64_t)bench->seconds * 1000000000;
	uint64_t warm = begin + (end - begin) / 10;
	int fd = dial(bench);

	for (; due < end && answered < end; due += step) {
		sleep_until(due);
		uint64_t start = answered > due ? due : now_ns();

		ask(fd, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n");
		answered = now_ns();
		if (answered > warm)
			latency_add(latency, answered - start);
	}
	close(fd);
}

/* A kind of load, and what the client has seen of it in each round, in us. */
struct phase {
	const char *name, *path;
	double p50[ROUNDS_MAX], p99[ROUNDS_MAX];
	unsigned done;
};

static void measure(struct bench *bench, struct phase *phase, unsigned round)
{
	struct latency latency = { 0 };
	pthread_t threads[HASHES_MAX];
	unsigned count = phase->path ? bench->hashes : 0;

	bench->path = phase->path;
	bench->stop = false;
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&threads[i], NULL, hash, bench) != 0)
			die("can't start a thread");
	pace(bench, &latency);
	bench->stop = true;
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	phase->done += atomic_exchange(&bench->done, 0);
	phase->p50[round] = latency_us(&latency, 0.5);
	phase->p99[round] = latency_us(&latency, 0.99);
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

static double median(double *values, unsigned count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static void run(struct bench *bench)
{
	struct phase phases[] = { { .name = "idle" }, { .name = "ag_offload", .path = "/" },
		{ .name = "inline", .path = "/inline" } };
	double idle = 0;

	for (unsigned round = 0; round < bench->rounds; round++)
		for (size_t i = 0; i < 3; i++)
			measure(bench, &phases[i], round);
	printf("%-12s %12s %12s %12s %8s\n", "", "p50 us", "p99 us", "of idle's", "hashes");
	for (size_t i = 0; i < 3; i++) {
		double p99 = median(phases[i].p99, bench->rounds);

		idle = i == 0 ? p99 : idle;
		printf("%-12s %12.0f %12.0f %12.1f %8u\n", phases[i].name,
		        median(phases[i].p50, bench->rounds), p99, p99 / idle, phases[i].done);
	}
}

int main(int argc, char **argv)
{
	struct bench bench = { .hashes = 8, .seconds = 1, .every = 2, .rounds = 5 };
	int option;

	while ((option = getopt(argc, argv, "a:c:t:i:r:")) != -1) {
		if (option == 'a' && !address_parse(optarg, &bench.address))
			die("-a: expected unix:PATH or IPV4:PORT");
		else if (option == 'c')
			bench.hashes = (unsigned)atoi(optarg);
		else if (option == 't')
			bench.seconds = (unsigned)atoi(optarg);
		else if (option == 'r')
			bench.rounds = (unsigned)atoi(optarg);
		else if (option == 'i')
			bench.every = (unsigned)atoi(optarg);
	}
	if (!bench.address.length || !bench.every || bench.hashes > HASHES_MAX ||
	        bench.rounds < 1 || bench.rounds > ROUNDS_MAX) {
		fprintf(stderr,
		        "usage: kdf -a ADDRESS [-c HASHES] [-t SECONDS] [-i MS] [-r ROUNDS]\n");
		return 2;
	}
	run(&bench);
	return 0;
}
