/*
 * The parts of a coordinator. What its jobs share is in struct coordinator, what is one job's in struct
 * coordinator_job:
 *
 *     coordinator -- jobs --> job -- members --> member -- session --> session (a connection)
 *          +-- members (by number), sessions
 */
#ifndef MU_COORDINATOR_PRIVATE_H
#define MU_COORDINATOR_PRIVATE_H

#include "mu/coordinator.h"
#include "mu/hash_table.h"
#include "mu/invocation.h"
#include "mu/journal.h"
#include "mu/registrar.h"
#include "mu/rendezvous.h"
#include "mu/wire.h"
#include "net/list.h"
#include "net/stream.h"
#include "store/store.h"

enum {
    COORDINATOR_TICK_MS = 50,
    COORDINATOR_TOKEN = 32,          /* bytes */
    COORDINATOR_INSTANCE = 16,       /* the same */
    COORDINATOR_SILENT = 4,          /* heartbeats without a word, and the other side is dead */
    COORDINATOR_MOST_WORKERS = 4096, /* of a job, where nobody says how many */
};

/* A worker that was started. */
struct member {
    struct coordinator_job *job;
    struct list_link link;      /* in job->members, in the order of starting */
    struct hash_link by_number; /* in coordinator->members */
    uint32_t worker;
    uint8_t token[COORDINATOR_TOKEN];
    uint8_t instance[COORDINATOR_INSTANCE]; /* of the process that came first */
    size_t instance_size;
    bool started;            /* by the engine, which may have it in a queue until then */
    bool came, used;         /* used: the ledger has it; one that came and is not is spare */
    bool retiring;           /* it is used no more when its actors have left it */
    bool leaving;            /* it was dismissed */
    bool gone;               /* its process has ended */
    bool counted;            /* in job->present */
    uint64_t life_ms;        /* that it had when it came; 0: no limit */
    uint64_t ends_at;        /* it is ended by force then */
    bool cut_off;            /* it came, but cannot reach a rendezvous */
    int slots;               /* once it came */
    int signing;             /* questions about the store that are being answered */
    struct session *session; /* NULL while there is none */
    uint64_t asked_at;       /* when the engine was asked for it */
    uint64_t away_at;        /* since when; when it was started or dismissed */
};

/* A connection: of nobody yet, of a worker, or of one who hands in jobs. */
struct session {
    struct coordinator *coordinator;
    struct list_link link;
    struct channel *channel;
    struct member *member; /* NULL but for a worker's */
    bool submitter;
    struct handed_in *watched; /* that it is told of; NULL: none */
    bool cleans;               /* it waits for the end of all cleaning */
    uint64_t since, spoke_at;
    bool suspect;
};

/* A rendezvous that runs by itself. */
struct meeting_place {
    struct coordinator *coordinator;
    int index; /* in the options' list */
    struct registrar *registrar;
    bool met; /* at least once */
    bool lost;
};

/* A job that somebody has handed in, and what became of it. */
struct handed_in {
    struct coordinator *coordinator;
    struct list_link link; /* in coordinator->handed_in, in the order of coming */
    char id[JOB_NAME_SIZE], name[JOB_NAME_SIZE];
    Mu__Submit *submit; /* NULL where it cannot be read any more */
    Mu__JobLine__State state;
    char failure[1024];              /* the sentence; or "" */
    struct ledger_progress progress; /* the last that is known */
    uint64_t submitted;              /* seconds since 1970 */
    uint64_t ran_ms;
    double cost;
    struct job *what;                /* while it runs */
    struct coordinator_job *running; /* NULL unless it does */
    bool cancelled;
    struct store *cleaning; /* that its objects are being removed from; or NULL */
    bool cleaned;           /* they are gone */
};

/* What is removed when the journal is safe: a key, or a prefix where it ends with '/'. */
struct cleanup {
    struct coordinator_job *job;
    struct list_link link;
    char key[STORE_KEY_SIZE];
};

struct coordinator {
    uv_loop_t *loop;
    struct coordinator_options options; /* its strings are held by `texts` */
    struct arena texts;
    struct network *network;
    struct tls_server *server;
    struct listener *listener;
    struct engine *engine;
    struct rendezvous *rendezvous; /* of its own; or else: */
    struct meeting_place *place;   /* [options.rendezvous_count] */
    struct tls_client *controller; /* with which these are dialled */
    struct tls_domain *deployment; /* of those who hand in jobs; or NULL */
    struct journal *state;         /* of the state folder: its lock and the epoch */
    uint64_t epoch;
    struct list_link handed_in;
    int cleaning;            /* of these, at once */
    uint64_t told_at;        /* watchers */
    struct credentials keys; /* of the servers that workers dial; `own` if options have none */
    struct list_link jobs, sessions;
    struct hash_table members;
    uint32_t workers_made;
    uv_timer_t tick;
    uint64_t ticked_at;
    bool draining, closing;
    uint64_t drain_until;
    int open; /* parts that must be closed until it is freed */
    void (*closed)(void *opaque);
    void *closed_opaque;
};

struct coordinator_job {
    struct coordinator *coordinator;
    struct list_link link;
    struct coordinator_job_options options; /* its strings are held by `texts` */
    struct arena texts;
    char name[RENDEZVOUS_NAME_SIZE];
    uint64_t epoch;
    struct ledger *ledger;
    struct store *store;
    bool
        one_machine; /* the workers run on this one, and the store is a folder of it: objects that never
                         leave its disks are known by their sizes, and compared when they come again */
    struct journal *journal;
    struct certificate *authority; /* of its workers */
    struct tls_domain *domain;
    bool registered;     /* with the rendezvous */
    uint64_t mapped_out; /* a bit for each rendezvous */
    char *facts;         /* of the first worker that came: all are the same */

    struct list_link members;
    int present, used;    /* members whose process runs, as far as is known; that the ledger has */
    int share;            /* workers that it may have now, spare ones included */
    unsigned barren;      /* workers that were lost since an actor was done */
    uint64_t launch_at;   /* not earlier, after one could not be started, or did not come */
    uint64_t pause_ms;    /* ... for so long */
    unsigned missed;      /* that have not come, in a row */
    bool came;            /* one ever has */
    char last_words[128]; /* of the engine, on one that has not come */
    uint64_t starts;      /* of workers */
    uint64_t worker_ms;   /* of all its workers */
    uint64_t ran_ms;      /* since it was begun, as long as there was a coordinator */
    uint64_t counted_ms;  /* of these, what the journal knows */

    /* what must be safe: coordinator_record.c */
    /* What is to go from the store: those that wait for the next sync, for the one under way, and for the store. */
    struct list_link cleanups, safe_cleanups, removals;
    uint64_t compacted;          /* bytes of the journal when it was short */
    bool unsafe, syncing, known; /* known: the journal was not empty */
    int operations;              /* of the store and the journal, under way */
    struct delivery *delivery;   /* of inputs or outputs, under way; or NULL */
    bool ready;                  /* inputs are there */
    struct link *links;          /* [inputs]: coordinator_link.c; or NULL */
    bool delivering;             /* outputs are on their way */
    bool recorded;               /* that it is done */

    bool ending, closing;
    uint64_t end_at;      /* workers that are there still are killed then */
    int open;             /* parts that must be closed until it is freed */
    struct error failure; /* code 0: none */
};

/* ---- coordinator.c -------------------------------------------------------------------------- */

void coordinator_note(struct coordinator *coordinator, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Opens the way for so many workers; notes it where the system does not let it. */
void coordinator_note_files(struct coordinator *coordinator, int workers);
/* NULL where there is none. */
struct coordinator_job *coordinator_find_job(struct coordinator *coordinator, const char *name);
/* A job or a connection is over: goes on with closing. */
void coordinator_go_on(struct coordinator *coordinator);

/* ---- coordinator_job.c ---------------------------------------------------------------------- */

/* In the loop's milliseconds. */
int64_t coordinator_job_now(const struct coordinator_job *job);
void coordinator_job_fail(struct coordinator_job *job, const struct error *failure);
/* Carries out what the ledger orders; after each happening. */
void coordinator_job_go_on(struct coordinator_job *job);
/* `passed`: milliseconds since the last time. */
void coordinator_job_tick(struct coordinator_job *job, uint64_t now, uint64_t passed);
/* Of an operation that has called back: goes on, with ending too. */
void coordinator_job_operation_ended(struct coordinator_job *job);

/* ---- coordinator_link.c --------------------------------------------------------------------- */

/* A delivery's `linked`, of a coordinator_job. */
void coordinator_link_known(void *opaque, int input, const char *tag);
/* Whether the object of this key is an input that lies elsewhere. */
bool coordinator_link_has(const struct coordinator_job *job, const char *key);
/* As store_url(), to get it; the URL's fragment says which ETag it must have. */
int coordinator_link_url(struct coordinator_job *job, const char *key, store_done *done,
                         void *opaque, struct error *error);
/* What `url` becomes for workers; to be freed, NULL for want of memory. */
char *coordinator_link_marked(const struct coordinator_job *job, const char *key, const char *url);
/* Nothing is under way. */
void coordinator_link_free(struct coordinator_job *job);

/* ---- coordinator_keys.c --------------------------------------------------------------------- */

/* The keys of the servers. */
int coordinator_make_keys(struct coordinator *coordinator, struct error *error);
/* Those of a rendezvous of its own, where the deployment has none; to be released. */
int coordinator_make_rendezvous_keys(struct coordinator *coordinator,
                                     struct credentials *credentials, struct error *error);
/* A job's authority, and the domain of its workers. */
int coordinator_job_make_keys(struct coordinator_job *job, struct error *error);
/* What a worker is told. To be freed with certificate_forget(). */
int coordinator_write_document(const struct member *member, char **document, struct error *error);

/* ---- coordinator_places.c ------------------------------------------------------------------- */

/* Where workers dial. */
struct coordinator_place coordinator_advertised(const struct coordinator *coordinator);
/* The rendezvous, in the order of mapping; returns how many. */
size_t coordinator_list_rendezvous(const struct coordinator *coordinator,
                                   struct invocation_place list[INVOCATION_MOST_RENDEZVOUS]);
int coordinator_open_rendezvous(struct coordinator *coordinator, struct error *error);
void coordinator_close_rendezvous(struct coordinator *coordinator);
/* Tells a worker which of them it is not to use. */
void coordinator_tell_mapped_out(struct session *session);
/* A worker says that it cannot reach one of them: where none can, what workers dial is wrong. */
void coordinator_place_unreachable(struct session *session, const Mu__Unreachable *unreachable);
int coordinator_register_job(struct coordinator_job *job, struct error *error);
void coordinator_unregister_job(struct coordinator_job *job);
void coordinator_forget_messages(struct coordinator_job *job, const char *actor);

/* ---- coordinator_state.c: what is kept of jobs that are handed in ---------------------------- */

/* Takes the folder, and reads what is in it. */
int coordinator_state_open(struct coordinator *coordinator, struct error *error);
/* The path of a file of the job; NULL when out of memory. */
char *coordinator_state_path(const struct handed_in *job, const char *name);
/* Makes the job durable. */
int coordinator_state_add(const struct handed_in *job, struct error *error);
/* That it has begun; how it ended. */
int coordinator_state_begun(const struct handed_in *job, struct error *error);
int coordinator_state_ended(struct handed_in *job, struct error *error);
int coordinator_state_remove(const struct handed_in *job, struct error *error);

/* ---- coordinator_handed_in.c: jobs that are handed in ---------------------------------------- */

struct handed_in *coordinator_handed_in_new(struct coordinator *coordinator, const char *id);
void coordinator_handed_in_free(struct handed_in *job);
struct handed_in *coordinator_handed_in_find(struct coordinator *coordinator, const char *id);
/* What is told of it; strings are its own. */
void coordinator_handed_in_line(struct handed_in *job, Mu__JobLine *line);
/* Whether what was handed in is a job. */
int coordinator_handed_in_check(struct handed_in *job, struct error *error);
/* Begins its work, or goes on with it; a failure is the job's. */
void coordinator_handed_in_begin(struct handed_in *job);
void coordinator_handed_in_cancel(struct handed_in *job);
/* Removes it with all that it has left, if it is over. */
void coordinator_handed_in_clean(struct handed_in *job);

/* ---- coordinator_submitter.c: those who hand in jobs ----------------------------------------- */

void coordinator_submitter_hello(struct session *session);
void coordinator_submitter_said(struct session *session, const Mu__Envelope *envelope);
/* Tells those who watch it how it stands. */
void coordinator_submitter_tell(struct handed_in *job);
/* Nobody can watch it any more. */
void coordinator_submitter_forget(struct handed_in *job);
/* All cleaning is over. */
void coordinator_submitter_cleaned(struct coordinator *coordinator);
void coordinator_submitter_tick(struct coordinator *coordinator, uint64_t now);

/* ---- coordinator_crew.c --------------------------------------------------------------------- */

/* Starts the first ones. */
void crew_begin(struct coordinator_job *job);
/* Replaces those that are lost or late, starts as many as wanted. */
void crew_tick(struct coordinator_job *job, uint64_t now);
/* The engine says so. */
void crew_started(void *opaque, uint32_t worker);
void crew_ended(void *opaque, uint32_t worker, const char *how);
void crew_refused(void *opaque, uint32_t worker, const struct error *reason);
/* It is not waited for any more. */
void crew_uncount(struct member *member);
/* One has said hello for the first time: of `slots` commands at once, and `life_ms` left (0: no limit). */
void crew_came(struct member *member, int slots, uint64_t life_ms);
/* Workers of all jobs together, at most; 0: no limit. */
int crew_most(const struct coordinator *coordinator);
/* How many of a job's run, as far as is known: they are paid for. */
int crew_running(const struct coordinator_job *job);
/* The ledger has it no more. */
void crew_unuse(struct member *member);
struct member *crew_find(struct coordinator *coordinator, uint32_t worker);
void crew_free(struct coordinator_job *job);

/* ---- coordinator_share.c -------------------------------------------------------------------- */

/* Divides the workers among the jobs. */
void crew_share(struct coordinator *coordinator);
/* Lets those go that are to end, and retires some where others have to wait for them. */
void crew_give_back(struct coordinator_job *job);
/* The ledger gives it no more actors: it goes when its last one has left. */
void crew_retire(struct coordinator_job *job, uint32_t worker, const char *why);

/* ---- coordinator_session.c ------------------------------------------------------------------ */

extern const struct listener_handlers coordinator_session_listener;
void coordinator_session_say(struct session *session, const Mu__Envelope *envelope);
/* To a worker, if it is there. */
void coordinator_session_tell(struct coordinator *coordinator, uint32_t worker,
                              const Mu__Envelope *envelope);
void coordinator_session_welcome(struct session *session, uint64_t epoch);
/* Says why it is let go, and ends it. */
void coordinator_session_refuse(struct session *session, const char *reason);
/* It did what it may not. */
void coordinator_session_breach(struct session *session, const char *what);
void coordinator_session_dismiss(struct session *session);
void coordinator_session_tick(struct coordinator *coordinator, uint64_t now);

/* ---- coordinator_worker.c: what workers say ------------------------------------------------- */

void coordinator_worker_hello(struct session *session, const Mu__WorkerHello *hello);
/* Anything but a hello or a heartbeat. */
void coordinator_worker_said(struct session *session, const Mu__Envelope *envelope);

/* ---- coordinator_adopt.c -------------------------------------------------------------------- */

/* Carries out LEDGER_ADOPT. */
void coordinator_adopt(struct coordinator_job *job, const struct ledger_order *order);

/* ---- coordinator_sign.c --------------------------------------------------------------------- */

void coordinator_sign(struct session *session, const Mu__Sign *sign);

/* ---- coordinator_order.c -------------------------------------------------------------------- */

void coordinator_carry_out(struct coordinator_job *job, const struct ledger_order *order);

/* ---- coordinator_record.c and coordinator_compact.c: the journal ----------------------------- */

enum coordinator_record {
    RECORD_JOB = 1, /* {"job", "build", "digest"}: the first */
    RECORD_MESSAGE, /* {"from", "to", "name", "size", "sha256"} */
    RECORD_OBJECT,  /* {"key", "maker", "for" or null, "size", "sha256" where it is known} */
    RECORD_CLOSE,   /* {"family", "count"} */
    RECORD_DONE,    /* {"actor", "amount"} */
    RECORD_END,     /* {}: the outputs are there */
    RECORD_SPENT,   /* {"ran_ms", "worker_ms", "starts"}: what it has taken so far */
    RECORD_PARKED, /* {"actor", "attempt", "at", "size", "sha256", "from" and "name" if it waits} */
};

/* Makes the journal short again if it has grown, and nothing waits to be written to it. */
void coordinator_compact(struct coordinator_job *job);

int coordinator_record_open(struct coordinator_job *job, struct error *error);
void coordinator_record_order(struct coordinator_job *job, const struct ledger_order *order);
/* Removes what it says once all that was recorded is safe. */
void coordinator_record_cleanup(struct coordinator_job *job, const char *key);
/* Whether something of this key is still to go. */
bool coordinator_record_cleans(const struct coordinator_job *job, const char *key);
/* What the job has taken so far. */
void coordinator_record_spent(struct coordinator_job *job);
void coordinator_record_sync(struct coordinator_job *job);
void coordinator_record_finished(struct coordinator_job *job);

/* ---- coordinator_transfer.c ----------------------------------------------------------------- */

void coordinator_put_inputs(struct coordinator_job *job);
void coordinator_get_outputs(struct coordinator_job *job);

#endif
