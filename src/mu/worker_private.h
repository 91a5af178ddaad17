/* The parts of a worker: what is asked of it (attempts, each with a request and perhaps a point of that),
 * and who does it (slots, threads for files, the store, other workers). */
#ifndef MU_WORKER_PRIVATE_H
#define MU_WORKER_PRIVATE_H

#include "mu/messenger.h"
#include "mu/slot.h"
#include "mu/wire.h"
#include "mu/worker.h"
#include "mu/worker_files.h"
#include "mu/worker_scratch.h"
#include "net/list.h"
#include "store/store.h"

enum {
    WORKER_TICK_MS = 100, /* how often it looks at the time */
    WORKER_ACTOR_SIZE = WIRE_NAME_MOST + 1,
    /* Tries at putting something, with 1, 2, 4 ... times this between them (63 times it in all). */
    WORKER_EARLY_LEAST = 1 << 16, /* bytes of a message that begins to go while it is copied */
    WORKER_PUT_TRIES = 7,
    WORKER_RETRY_MS = 200,
    WORKER_STALL_MS = 500, /* without a byte of a message that comes, and its copy is taken */
};

/* An envelope as it is sent. */
struct packed {
    uint8_t *bytes; /* NULL: none */
    size_t size;
};

struct worker {
    uv_loop_t *loop;
    void (*ended)(void *opaque, const struct error *reason);
    void *opaque;

    /* what it was told */
    char *job, *version, *build, *facts, *program;
    char **slot_argv;
    uint32_t number, slots;
    uint64_t patience_ms;
    uint64_t dies_at; /* in the loop's milliseconds; UINT64_MAX: not by itself */
    uint8_t token[INVOCATION_MOST_TOKEN];
    size_t token_size;
    uint8_t instance[16]; /* random: of this process */
    struct invocation_place coordinator;

    struct network *network;
    struct tls_client *tls;
    struct store *store;
    struct store
        *link_store; /* of inputs that lie elsewhere; NULL: `store`, or none was wanted yet */
    struct messenger *messenger;
    struct worker_scratch scratch; /* its own folder */
    char *keep;                    /* where actors' files are kept; NULL: not at all */
    uv_timer_t tick;

    /* the session with the coordinator: worker_session.c */
    struct channel *channel; /* NULL while there is none */
    bool welcomed;           /* on this connection */
    bool complained;         /* of a rendezvous that it cannot reach */
    bool suspect;            /* was silent for too long when last looked at */
    uint64_t epoch;          /* the highest seen */
    uint32_t heartbeat_ms;
    uint64_t opened_at;                  /* when it was started, in the loop's milliseconds */
    uint64_t spoke_at, lost_at, dial_at; /* the same */
    unsigned pause_ms;                   /* before dialling again */
    struct error lost_why;               /* the last connection */

    struct list_link attempts;
    uint64_t drafts; /* files of its own so far, for their names */

    /* worker_run.c */
    struct list_link lanes, runs; /* struct lane; struct activity that wait for a core, in order */
    unsigned busy_cores, lane_count;

    bool ending, store_closed, removed;
    bool failed; /* `reason` says why it ends */
    struct error reason;
};

/* ---- attempts ------------------------------------------------------------------------------ */

struct attempt {
    struct worker *worker;
    struct list_link link;
    char actor[WORKER_ACTOR_SIZE];
    uint32_t number;
    uint64_t request; /* the last that came */
    /* Two folders in the worker's: what commands see, and what they do not. */
    char folder[WORKER_ACTOR_SIZE + 16];
    int files, own;
    struct list_link activities; /* the request, and one of its points */
    struct list_link sends;      /* struct outgoing */
    struct list_link received;   /* struct kept: worker_base.c */
    struct packed outcome;       /* of the last request, kept until the next one comes */
    bool acknowledged;
    bool done; /* a "quit" ended well, or it was parked */
    bool over; /* dropped or done: it goes as soon as nothing uses it */
    unsigned users;
};

/* A request being done, or what a process asked for at a point of it. */
struct activity {
    struct attempt *attempt;
    struct list_link link;
    Mu__Envelope *envelope; /* holds what is asked */
    uint64_t request;
    uint32_t point; /* the id; 0 for the request itself */
    uint32_t timeout_ms;
    int32_t priority;
    uint64_t came, started; /* in nanoseconds of uv_hrtime() */
    bool waiting;           /* for what comes from outside: a message, or that all is durable */
    bool timed_out, cancelled;
    unsigned tries;     /* of a put that ended badly */
    uint64_t retry_at;  /* 0: not */
    const Mu__Get *get; /* one of these, or none where there is nothing to do */
    const Mu__Put *put;
    const Mu__Run *run;
    const Mu__Send *send;
    const Mu__Receive *receive;
    const Mu__Read *read;
    const Mu__Unpark *unpark;
    bool quit, stow;                   /* stow: it is parked between two requests */
    enum control_answer answer;        /* of a point, when it is done */
    struct store_operation *operation; /* under way */
    struct run *running;               /* of a run */
    struct outgoing *outgoing;         /* of a send */
    struct messenger_receive *receiving;
    char *park; /* key, of a request that is being parked; file of the archive, of an unpark */
    uint32_t park_point; /* that the run to be parked waits at; 0: none */
    bool packing;        /* it is too late for what it waits for to come */
    uint32_t
        points_asked; /* of a run, by all of its processes: it begins anew where it was not parked after all */
    struct copy *copy; /* of the message being received, should its bytes stop coming; or NULL */
};

/* Where a message's copy is. */
struct copy {
    struct store_identity identity;
    uint64_t seen;  /* bytes that had come from elsewhere */
    uint64_t since; /* when these had come, in the loop's milliseconds */
    char key[];
};

/* A message that an attempt has sent. */
struct outgoing {
    struct attempt *attempt;
    struct list_link link;
    char to[WORKER_ACTOR_SIZE], name[WORKER_ACTOR_SIZE];
    uint64_t request; /* the call that sent it */
    char file[32];    /* in the attempt's own folder */
    struct store_identity identity;
    bool known;   /* its identity */
    bool clashed; /* it is known elsewhere with another one */
    struct messenger_send *send;
    uint64_t begun;              /* bytes that it was said to have when it began to go */
    bool whole;                  /* it cannot go before it is copied */
    struct store_operation *put; /* under way */
    struct packed stored;        /* once it is durable */
    unsigned tries;
    uint64_t retry_at;    /* 0: not */
    struct error failure; /* where no more tries are made; code 0 otherwise */
};

/* worker_url.c: does a "get" of a URL. */
void worker_url_get(struct activity *activity);
/* Where the object is got from. NULL, and the error, where that cannot be opened. */
struct store *worker_store_for(struct worker *worker, const Mu__Get *get, struct error *error);

/* worker_attempt.c */
struct attempt *worker_attempt_find(struct worker *worker, const char *actor, uint32_t number);
/* Makes its folders. NULL where that fails. */
struct attempt *worker_attempt_new(struct worker *worker, const char *actor, uint32_t number,
                                   struct error *error);
/* Ends what it is at, and forgets it. */
void worker_attempt_drop(struct attempt *attempt);
void worker_attempt_hold(struct attempt *attempt);
void worker_attempt_release(struct attempt *attempt);
/* A name for a file in an attempt's own folder. */
void worker_attempt_draft(struct attempt *attempt, char name[32]);
/* Makes the folders on the way to a file of its scratch folder. */
int worker_attempt_make_way(struct attempt *attempt, const char *file, struct error *error);
/* Fills a call for messages about it. */
void worker_attempt_call(struct attempt *attempt, uint64_t request, Mu__Call *call);

/* worker_activity.c: what is asked, one kind each. */
void worker_activity_request(struct attempt *attempt, Mu__Envelope *envelope);
void worker_activity_point(struct attempt *attempt, Mu__Envelope *envelope);
/* The request that the attempt is at, or NULL. */
struct activity *worker_activity_current(struct attempt *attempt);
/* The same for a point of it. */
struct activity *worker_activity_at(struct attempt *attempt, uint32_t point);
/* Ends it without a word. */
void worker_activity_free(struct activity *activity);
/* Stops it; it ends with its outcome soon. */
void worker_activity_cancel(struct activity *activity);
/* Looks at the time: `now` in the loop's milliseconds. */
void worker_activity_tick(struct activity *activity, uint64_t now);
/* Ends it, well or badly; sends the outcome and frees it. Times and result are filled in here. */
void worker_activity_finish(struct activity *activity, const Mu__Outcome *outcome);
void worker_activity_ok(struct activity *activity, const struct store_identity *identity);
void worker_activity_fail(struct activity *activity, const char *reason);
/* Ends it as the store's or a file's work came out. */
void worker_activity_finish_with(struct activity *activity, const struct error *error,
                                 const struct store_identity *identity);

/* worker_run.c */
void worker_run_start(struct activity *activity);
void worker_run_cancel(struct activity *activity);
/* The point that the run's process waits at: whether it was asked for under this id. */
bool worker_run_waits_at(struct activity *run, uint32_t point);
/* A request for this point came: the coordinator knows all that was said of earlier ones. */
void worker_run_point_asked(struct activity *run, uint32_t point);
/* A point is done: the process goes on. */
void worker_run_answer(struct activity *run, uint32_t point, enum control_answer answer,
                       struct packed outcome);
/* Takes it back where it has not begun yet; false where it has. */
bool worker_run_withdraw(struct activity *activity);
/* Says to a new connection what is to be said of its points. */
void worker_run_resend(struct activity *run);
/* Ends slots that nobody needs any more; all of them at the worker's end. */
void worker_run_tick(struct worker *worker);
void worker_run_close_lanes(struct worker *worker);

/* worker_park.c */
/* Parks the attempt where it waits with this request: for its message, at this point of it, or for a core. */
void worker_park(struct attempt *attempt, uint64_t request, uint32_t point, const char *key);
void worker_park_tick(struct activity *activity);
/* The process of the run has ended for that. */
void worker_park_ended(struct activity *activity);
void worker_unpark(struct activity *activity);

/* worker_message.c */
void worker_message_send(struct activity *activity);
void worker_message_receive(struct activity *activity);
/* Takes the copy if bytes have stopped coming: `now` in the loop's milliseconds. */
void worker_message_look(struct activity *activity, uint64_t now);
/* Nothing more comes. */
void worker_message_stop_receiving(struct activity *activity);
void worker_message_fetch(struct worker *worker, const struct label *label, const Mu__Fetch *fetch);
/* As struct messenger_handlers has it, of a worker. */
void worker_message_clash(void *opaque, const struct label *label,
                          const struct store_identity *sent, const struct store_identity *known);
/* A "quit": waits until all messages are durable. */
void worker_message_settle(struct activity *activity);
void worker_message_tick(struct attempt *attempt, uint64_t now);
void worker_message_cancel(struct attempt *attempt);
void worker_message_free_all(struct attempt *attempt);

/* worker_base.c */
/* A message has been received. */
void worker_base_keep(const struct activity *activity, const struct store_identity *identity);
/* As struct messenger_handlers has `base`, of a worker. */
int worker_base_open(void *opaque, const struct label *label,
                     const struct store_identity *identity);
/* Opens an earlier message that the receiver will have had; -1 where there is none of a size like this one's. */
int worker_base_find(const struct outgoing *outgoing, struct store_identity *identity);
void worker_base_free_all(struct attempt *attempt);

/* worker_keep.c: the last of a "quit". Ends it when the files of its actor are kept, where they are to be. */
void worker_keep(struct activity *quit);

/* worker_session.c */
void worker_session_tick(struct worker *worker);
/* Says goodbye, within a bounded time. */
void worker_session_close(struct worker *worker);
bool worker_session_pack(struct worker *worker, const Mu__Envelope *envelope,
                         struct packed *packed);
/* As struct store_lender has `ask`, of a worker. */
void worker_session_sign(void *opaque, uint64_t question, const struct store_url *what);
/* Sends it where there is somebody to send it to. */
void worker_session_transmit(struct worker *worker, const struct packed *packed);
void worker_packed_free(struct packed *packed);

/* worker.c: ends the worker; NULL where it was dismissed. */
void worker_end(struct worker *worker, const struct error *reason);
/* Goes on with ending where nothing is under way any more. */
void worker_end_on(struct worker *worker);

#endif
