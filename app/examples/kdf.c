/*
 * Work that keeps a processor busy, hashing passwords, on a thread: the worker serves others
 * meanwhile. /inline does the same without a thread, and everybody else waits.
 *
 *	cc -shared -fPIC kdf.c -o kdf.so -lcrypto
 *	anygate -w 1 -l http=127.0.0.1:8080 ./kdf.so
 *	curl -d 'correct horse' http://127.0.0.1:8080/
 *
 * Answers what is to be stored: pbkdf2-sha256, iterations, salt and hash (RFC 8018 5.2).
 */
#include <anygate.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define ITERATIONS 600000
#define SALT_SIZE  16
#define HASH_SIZE  32

/* What the thread works on; nobody else looks at it meanwhile. */
struct work {
	char password[256];
	int length;
	unsigned char salt[SALT_SIZE], hash[HASH_SIZE];
	int ok;
};

static void derive(void *argument)
{
	struct work *work = argument;

	work->ok = PKCS5_PBKDF2_HMAC(work->password, work->length, work->salt, SALT_SIZE,
	        ITERATIONS, EVP_sha256(), HASH_SIZE, work->hash);
}

static void print_hex(struct ag_request *req, const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		ag_printf(req, "%02x", bytes[i]);
}

/* The body is the password. 0, or the status that refuses it. */
static int read_password(struct ag_request *req, struct work *work)
{
	ssize_t n;

	while ((n = ag_read(req, work->password + work->length,
	                sizeof work->password - (size_t)work->length)) > 0)
		work->length += (int)n;
	if (n < 0 || work->length == 0)
		return 400;
	return (size_t)work->length == sizeof work->password ? 413 : 0;
}

static int answer(struct ag_request *req, const struct work *work)
{
	if (!work->ok)
		return 500;
	ag_printf(req, "pbkdf2-sha256$%d$", ITERATIONS);
	print_hex(req, work->salt, SALT_SIZE);
	ag_puts(req, "$");
	print_hex(req, work->hash, HASH_SIZE);
	ag_puts(req, "\n");
	return 200;
}

static int hash(struct ag_request *req, int on_a_thread)
{
	struct work work = { .length = 0 };
	int error = read_password(req, &work);

	if (error)
		return error;
	if (RAND_bytes(work.salt, SALT_SIZE) != 1)
		return 500;
	if (!on_a_thread)
		derive(&work);
	else
		error = ag_offload(req, derive, &work);
	if (error == AG_BUSY)
		return 503;
	return error ? 500 : answer(req, &work);
}

static int offloaded(struct ag_request *req)
{
	return hash(req, 1);
}

static int inlined(struct ag_request *req)
{
	return hash(req, 0);
}

static int hello(struct ag_request *req)
{
	ag_puts(req, "Hello, world\n");
	return 200;
}

AG_APP(app)
{
	ag_get(app, "/", hello);
	ag_post(app, "/", offloaded);
	ag_post(app, "/inline", inlined);
}
