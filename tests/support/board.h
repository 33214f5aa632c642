/* The scoreboard of a running daemon, read as anyone with the master's rights can read it. */
#ifndef TESTS_SUPPORT_BOARD_H
#define TESTS_SUPPORT_BOARD_H

#include "daemon.h"
#include "daemon/scoreboard.h"

/* Maps it; to be freed by scoreboard_free, before or after the daemon's end. */
struct scoreboard *board_open(const struct daemon *daemon);

uint64_t board_sum(const uint64_t *counters, size_t count);

/* Something came, and all connections are over. */
bool board_settled(const struct counters *total);

/* Looks again until the counters are there; they stay in `total`. Fails the test if they never are.
 */
void board_await(const struct scoreboard *board, bool (*reached)(const struct counters *total),
        struct counters *total);

#endif
