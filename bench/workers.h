/* What the benchmark of many workers shares: its clients in one process, a server in another. */
#ifndef BENCH_WORKERS_H
#define BENCH_WORKERS_H

#include <stdatomic.h>

#include "tls.h"

enum {
    WORKERS = 4000,
    DOCUMENT = 8192,      /* bytes, most of one worker's */
    HEARTBEAT_MS = 1000,  /* of the coordinator */
    ACTORS = 4 * WORKERS, /* as many as are under way at once, so that each worker gets some */
};

/* In memory that both processes see. */
struct shared {
    _Atomic int started;  /* workers that the engine was told to start */
    _Atomic bool ready;   /* the server: clients may come */
    _Atomic bool joined;  /* the clients: all have had their first request */
    _Atomic bool counted; /* the server: has seen what that took */
    double cpu;           /* seconds of the server from `ready` to `counted` */
    double bytes;         /* of memory for each connection, in the same time */
    double longest;       /* nanoseconds of handshakes in one turn of its loop; 0 where not known */
    bool finished;        /* the job came to its end */
    char document[WORKERS][DOCUMENT];
};

extern struct shared *shared;

/* One of our coordinators, with a job for all of the workers. */
bench_server coordinator_serve;
/* A loop of accept, handshake, hello and answer in bare OpenSSL calls on blocking sockets. */
bench_server bare_serve;
/* Documents as a coordinator makes them, for the clients of bare_serve. */
void bare_documents(void);

/* Before the clients come, and when all are there. */
void count_begin(void);
void count_end(void);

#endif
