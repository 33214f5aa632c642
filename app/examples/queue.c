/*
 * A producer and a consumer, with a queue for one item between them: whoever is faster waits.
 *
 *	cc -shared -fPIC queue.c -o queue.so
 *	anygate -l http=127.0.0.1:8080 ./queue.so
 *	curl 'http://127.0.0.1:8080/?n=5'
 */
#include <anygate.h>
#include <stdlib.h>

#define MOST 1000

struct work {
	struct ag_queue *queue;
	int count;
	int items[MOST];
};

static int produce(struct ag_request *req, void *argument)
{
	struct work *work = argument;

	for (int i = 0; i < work->count; i++) {
		work->items[i] = i + 1;
		int error = ag_queue_put(req, work->queue, &work->items[i], AG_FOREVER);

		if (error)
			return error;
		ag_printf(req, "put %d\n", i + 1);
	}
	ag_queue_close(work->queue); /* the consumer gets what is in it, then AG_CLOSED */
	return 0;
}

static int consume(struct ag_request *req, void *argument)
{
	struct work *work = argument;
	void *item;
	int error;

	while ((error = ag_queue_get(req, work->queue, &item, AG_FOREVER)) == 0)
		ag_printf(req, "got %d\n", *(int *)item);
	return error == AG_CLOSED ? 0 : error;
}

static int run(struct ag_request *req)
{
	struct work *work = ag_alloc(req, sizeof *work);
	long count = strtol(ag_arg(req, "n", "3"), NULL, 10);
	int error;

	if (!work || count < 0 || count > MOST)
		return work ? 400 : 503;
	work->count = (int)count;
	work->queue = ag_queue_new(1);
	if (!work->queue)
		return 503;
	struct ag_task *producer = ag_spawn(req, produce, work);

	error = producer ? consume(req, work) : AG_NOMEM;
	ag_queue_close(work->queue); /* a producer that still waits to put is told */
	if (producer)
		ag_join(req, producer, NULL);
	ag_queue_free(work->queue);
	return error ? 500 : 200;
}

AG_APP(app)
{
	ag_get(app, "/", run);
}
