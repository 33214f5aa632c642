/*
 * The effective configuration: defaults, then the file, then the command line. Read-only after
 * fork. One table (config_keys.c) holds every key; a key is added there, in one row.
 */
#ifndef DAEMON_CONFIG_H
#define DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../app/anygate.h"
#include "../app/limits.h"
#include "../protocols/protocol.h"
#include "environment.h"
#include "peers.h"

struct options;
struct status_source;

/* Enough for any message below; a longer one is cut. */
#define CONFIG_ERROR_MAX 1024

/* Most worker processes of one generation. */
#define WORKERS_MAX 1024

/* daemon_config.core_size where the limit stays what it is. */
#define CORE_UNCHANGED SIZE_MAX

/* [daemon]; times in ms, no text is "". */
struct daemon_config {
	unsigned workers;                         /* never 0: "auto" has become a number */
	unsigned workers_min, workers_max;        /* what scaling keeps to; max 0: no scaling */
	unsigned spare_min, spare_max;            /* workers that should have nothing to do */
	char *user, *group, *pidfile, *directory; /* NULL: not set */
	bool daemonize;
	unsigned open_files; /* RLIMIT_NOFILE to ask for */
	unsigned graceful_timeout;
	unsigned request_timeout; /* of a handler, without what it waits for its client; 0: none */
	unsigned max_requests;    /* of one worker, and a tenth more; 0: no limit */
	unsigned max_lifetime;    /* of one worker, and a tenth more; 0: no limit */
	size_t rss_limit;         /* bytes, above which a worker is replaced; 0: no limit */
	unsigned start_timeout;   /* for a worker to be ready */
	unsigned reload_watch;    /* that new workers must live before the old ones drain */
	unsigned threads;         /* of a worker, for ag_offload */
	size_t stack_size;        /* bytes of one task's stack */
	unsigned programs;        /* that run at a time in one worker; 0: no limit */
	unsigned fetches;         /* the same of ag_fetch */

	/* of the workers' processes: see privileges_apply */
	char *chroot;
	bool no_new_privileges;
	unsigned umask;
	int nice;            /* 0: unchanged */
	size_t core_size;    /* RLIMIT_CORE, or CORE_UNCHANGED */
	size_t memory_limit; /* RLIMIT_AS; 0: none */
	char *cpu_affinity;  /* as affinity_bind takes it; NULL: off */
	struct environment environment;
};

enum address_kind {
	ADDRESS_TCP,  /* host, port */
	ADDRESS_UNIX, /* path */
	ADDRESS_FD,   /* fd: a listening socket that we were given */
};

struct listen_address {
	enum address_kind kind;
	char host[64]; /* a literal v4 or v6 address; "": every interface */
	unsigned port; /* 0: the system chooses */
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int fd;
};

/* [listen X] */
struct listen_config {
	char *name;    /* "main" for the first -l, then "main2"... */
	char *origin;  /* where it was given, for messages: "FILE:LINE", "--listen ADDR" */
	char *address; /* as written, without its protocol */
	struct listen_address where;
	const struct protocol *protocol; /* NULL: auto */
	unsigned backlog;
	unsigned mode;                /* of a Unix socket */
	char *owner, *group;          /* of a Unix socket; NULL: as created */
	struct peers allowed_clients; /* who may connect: see conn_is_allowed */
	struct peers trusted_proxies; /* who may say where a request comes from */
	bool proxy_protocol;          /* a PROXY header begins every connection */
	bool underscores;             /* in header names of HTTP */
	unsigned keepalive_timeout;   /* ms */
	unsigned max_connections;     /* of one worker; 0: no limit */
	unsigned shed_after;          /* ms in the queue, then 503; 0: never */
	unsigned stale_after;         /* ms since the gateway got it, then 503; 0: never */
	uint64_t given;               /* key_bit: was set for this one, not taken from [listen] */
};

/* A key that only the application knows. */
struct app_setting {
	char *key, *value;
};

/* [app X] */
struct app_config {
	char *name;   /* "main" for the command line's */
	char *origin; /* like listen_config's */
	char *load;   /* a shared object or the name of one compiled in; never NULL */
	char *mount;  /* begins with "/" */
	char *host;   /* in lower case; NULL: any */
	char *probe;  /* path below the mount that must answer before a worker serves; or NULL */
	bool debug;
	const struct status_source *status; /* for the application `status`, or NULL */
	struct app_setting *settings;
	size_t setting_count;
};

/* [log] */
struct log_config {
	char *error;    /* as log_sink_open takes it */
	unsigned level; /* 0 error, 1 warning, 2 info, 3 debug */
	char *access;   /* likewise */
	char *format;   /* as log_template_new takes it */
	unsigned slow;  /* ms; 0: off */
};

/* [bus] */
struct bus_config {
	char *redis; /* as written; NULL: off */
	struct listen_address where;
	char *user, *password, *prefix; /* NULL: none */
};

struct config {
	struct daemon_config daemon;
	struct listen_config listen_default; /* [listen], and -P */
	struct listen_config *listen;        /* empty without -l and [listen X] */
	size_t listen_count;
	struct limits limits;
	struct log_config log;
	struct bus_config bus;
	struct listen_config admin; /* [admin]; address NULL: off */
	struct app_config *app;
	size_t app_count;
	ag_setup *self; /* the program's own application, or NULL */
	bool debug;     /* -D */
};

/*
 * Builds the configuration that the options ask for. NULL on the first fault, with one line in
 * `error` that names its place; main prints it after "anygate: " and exits 2.
 */
struct config *config_load(const struct options *options, char *error, size_t size);
void config_free(struct config *config);

/*
 * Appends a listener as -l would ("ADDR" or "PROTOCOL=ADDR"), for the ones that main finds by
 * itself. Pointers into config->listen are stale afterwards. NULL: see `error`.
 */
struct listen_config *config_add_listener(
        struct config *config, const char *address, char *error, size_t size);

/* The effective configuration as a file that config_load reads back to the same. */
void config_print(const struct config *config, FILE *out);

/* etc/anygate.ini: every key with its help, commented out, at its default. */
void config_write_template(FILE *out);

/* Calls back for every key of the table, in order. */
void config_each_key(
        void (*call)(void *data, const char *section, const char *key, const char *standard),
        void *data);

/*
 * Whether a TCP peer is in one of the networks. A v4-mapped v6 address is the v4 address, and v6
 * networks other than mapped ones do not match it. Nothing is in an empty list.
 */
bool cidr_match(const struct cidr *list, size_t count, const struct sockaddr *peer);

/* The same for an address as v6, or v4 as v4-mapped v6. */
bool cidr_has(const struct cidr *list, size_t count, const uint8_t address[16]);

#endif
