/*
 * A job as loaded from its file: actors, variables and the machine that all actors go through. It never
 * changes. docs/job-format.md says what everything means; machine.h is what one does with it.
 */
#ifndef MU_JOB_H
#define MU_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/arena.h"

/* Limits, part of the format. Sizes are in bytes, without a final zero. */
enum {
    JOB_FORMAT = 1,
    JOB_MOST_BYTES = 4 << 20,   /* of a job file */
    JOB_MOST_VARIABLES = 256,   /* declared */
    JOB_MOST_GROUPS = 100,      /* entries in "actors" */
    JOB_MOST_ACTORS = 10000000, /* of the job, an open family counted as one until it is closed */
    JOB_MOST_TRANSFERS = 100,   /* entries in "inputs" and "outputs" each */
    JOB_MOST_STATES = 256,      /* of the machine */
    JOB_MOST_POINTS = 16,       /* of one run */
    JOB_MOST_ALL_POINTS = 256,  /* of all runs together */
    JOB_MOST_WORDS = 256,       /* of an argv */
    JOB_MOST_BRANCHES = 32,     /* of one outcome */
    JOB_MOST_GUARDS = 64,       /* comparisons, alls, anys and nots in one guard */
    JOB_MOST_DEPTH = 8,         /* of a guard */
    JOB_MOST_NAME = 64,     /* a name of a job, actor, family, state, message, point, variable */
    JOB_MOST_PATH = 512,    /* a key, or a file's path in the scratch folder */
    JOB_MOST_TEXT = 16384,  /* any other string, before and after its variables are filled in */
    JOB_MOST_RETRIES = 100, /* of a request */
    JOB_MOST_SECONDS = 10000000,  /* of a time limit */
    JOB_MOST_PRIORITY = 1000000,  /* of a state */
    JOB_MOST_FILE_VALUES = 16384, /* a file that a "set" reads */
};

enum {
    JOB_NAME_SIZE = JOB_MOST_NAME + 1,
    /* A family member's name: the family's, "-", up to seven digits. */
    JOB_ACTOR_SIZE = JOB_MOST_NAME + 1 + 7 + 1,
};

/* ---- Variables ----------------------------------------------------------------------------- */

enum job_type { JOB_STRING, JOB_INTEGER, JOB_BOOLEAN };

struct job_value {
    enum job_type type;
    int64_t integer;    /* a boolean: 0 or 1 */
    const char *string; /* of a JOB_STRING */
};

struct job_variable {
    const char *name;
    struct job_value value; /* unless an actor overrides it or a state has set it */
    bool changes;           /* some state sets it */
};

/* A variable is referred to by its index in job->variable, or by one of these. */
enum job_builtin {
    JOB_ACTOR = -1,     /* the actor's own name */
    JOB_FAMILY = -2,    /* its family's; "" for an actor alone, as are the next four */
    JOB_PREVIOUS = -3,  /* name of the family's member before it, "" for the first */
    JOB_NEXT = -4,      /* and behind it, "" for the last; in an open family there is always one */
    JOB_FIRST_ONE = -5, /* name of the family's first member */
    JOB_LAST_ONE = -6,  /* and of its last, "" in an open family */
    JOB_INDEX = -7,     /* integer: place in the family, from 0; 0 for an actor alone */
    JOB_COUNT = -8,     /* integer: members of the family; 0 in an open one, 1 for an actor alone */
    JOB_NUMBER = -9,    /* the number that a process gives with a point, see struct job_point */
};

enum { JOB_BUILTINS = 9 };

/* The name of a variable, built in or declared. */
struct job;
const char *job_variable_name(const struct job *job, int variable);
/* Finds what `name` means; false where there is nothing of that name. */
bool job_find_variable(const struct job *job, const char *name, int *variable);
enum job_type job_variable_type(const struct job *job, int variable);
/* In words: "a string", "an integer", "a boolean". */
const char *job_type_name(enum job_type type);

/* A piece of a text: literal, or a variable's value. */
struct job_part {
    const char *literal; /* or NULL */
    int variable;
};

struct job_text {
    int parts;
    struct job_part *part; /* [parts] */
};

/* Something to compare with or to assign: a literal, a variable, or a text with variables. */
struct job_operand {
    enum job_type type;
    bool is_text; /* `text` says what it is; where not a JOB_STRING it is one variable */
    struct job_value literal;
    struct job_text text;
};

/* ---- Guards -------------------------------------------------------------------------------- */

enum job_guard_kind {
    JOB_ALL,
    JOB_ANY,
    JOB_NOT,
    JOB_IS, /* from here on: compares a variable */
    JOB_IS_NOT,
    JOB_LESS,
    JOB_AT_MOST,
    JOB_MORE,
    JOB_AT_LEAST,
};

struct job_guard {
    enum job_guard_kind kind;
    int count;               /* of JOB_ALL, JOB_ANY; 1 of JOB_NOT */
    struct job_guard *guard; /* [count] */
    int variable;
    struct job_operand operand;
};

struct job_branch {
    const struct job_guard *guard; /* NULL: always */
    int to;                        /* a state */
};

/* The first branch whose guard holds is taken; the last one always holds. */
struct job_next {
    int count; /* 0 where nothing is said */
    struct job_branch *branch;
};

/* ---- Requests ------------------------------------------------------------------------------ */

enum job_kind {
    JOB_GET,     /* key -> file, of its bytes or its URL */
    JOB_PUT,     /* file -> key [, actor: kept until that one is done] */
    JOB_RUN,     /* argv, points */
    JOB_SEND,    /* to actor, name; file or text */
    JOB_RECEIVE, /* from actor, name -> file */
    JOB_SET,     /* settings */
    JOB_QUIT,
    JOB_CLOSE,  /* only as a point: an open family gets its number of members */
    JOB_NEEDED, /* only as a point: asks whether an actor still has to be served */
};

enum { JOB_KINDS = 9, JOB_STATE_KINDS = 7 };

/* What a request is called in a job file. */
const char *job_kind_name(enum job_kind kind);

enum job_setting_kind {
    JOB_ASSIGN,
    JOB_ADD,  /* to the variable's value; integers */
    JOB_READ, /* the member of the variable's name from the request's file */
};

struct job_setting {
    int variable;
    enum job_setting_kind kind;
    struct job_operand operand; /* not of JOB_READ */
};

struct job_request {
    enum job_kind kind;
    struct job_text key, file, actor, name, text; /* without parts where not given */
    bool move;                                    /* of JOB_PUT: the file goes */
    bool by_url; /* of a JOB_GET: the file gets the object's URL in place of its bytes */
    int words;
    struct job_text *argv; /* [words] */
    int points;
    struct job_point *point; /* [points] */
    int settings;
    struct job_setting *setting; /* [settings] */
    int group;                   /* of JOB_CLOSE */
};

/* A request that the process of a run can make while it runs, by name. */
struct job_point {
    const char *name;
    bool numbered; /* the process gives a number with it */
    struct job_request request;
};

enum job_outcome { JOB_OK, JOB_FAILED, JOB_TIMEOUT };

enum { JOB_OUTCOMES = 3 };

const char *job_outcome_name(enum job_outcome outcome);

struct job_state {
    const char *name;
    struct job_request request;
    int64_t timeout_ms;   /* 0: none, or as a variable says */
    bool timeout_varies;  /* timeout_variable holds the seconds */
    int timeout_variable; /* an integer */
    int retries;
    int priority; /* larger goes first */
    struct job_next next[JOB_OUTCOMES];
};

/* True for what takes no worker: a "set" that reads no file. */
bool job_is_instant(const struct job_state *state);

/* ---- Actors -------------------------------------------------------------------------------- */

struct job_override {
    int variable;
    struct job_value value;
};

/* An actor alone or a family. */
struct job_group {
    const char *name;
    bool is_family, is_open;
    int64_t count; /* 1 for an actor alone, 0 for an open family */
    int overrides;
    struct job_override *override; /* [overrides] */
};

/* A file of whoever submits the job, and an object of the job's store. */
struct job_transfer {
    const char *file; /* any path; "" for none: then there is nothing to do */
    const char *key;
};

struct job {
    struct arena arena; /* holds all that the pointers point to */
    const char *name;
    int variables, groups, states, inputs, outputs;
    bool has_progress;
    int progress; /* an integer variable: how much an actor that is done has done */
    struct job_variable *variable; /* [variables] */
    struct job_group *group;       /* [groups], in the order of admission */
    struct job_state *state;       /* [states], in the order of the file */
    struct job_transfer *input;    /* [inputs]: put into the store before the job starts */
    struct job_transfer *output;   /* [outputs]: got from the store when it is done */
    struct job_next start;
};

void job_free(struct job *job); /* NULL is allowed */

/* ---- Names --------------------------------------------------------------------------------- */

/* Letters, digits, '.', '_' and '-', beginning with a letter or a digit, at most JOB_MOST_NAME, without
 * '.attempt-'. */
bool job_name_valid(const char *name);
/* A lower-case letter, then lower-case letters, digits and '_'. */
bool job_variable_name_valid(const char *name);
/* A relative path of parts of [A-Za-z0-9._-] that are neither "." nor "..". */
bool job_path_valid(const char *path);
/* Keys that the framework uses for itself: with ".attempt-", and in "messages/" and "parked/". */
bool job_key_reserved(const char *key);

#endif
