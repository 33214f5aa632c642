/* What the parts of app/async share; for app/async/ only. */
#ifndef APP_ASYNC_ASYNC_PRIVATE_H
#define APP_ASYNC_ASYNC_PRIVATE_H

#include <event2/event_struct.h>

#include "../request.h"
#include "async.h"

struct async {
	struct runtime *runtime;
	struct event turn; /* due at once where `turns` has somebody */
	struct task_list turns;
};

#endif
