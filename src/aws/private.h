/* The parts of struct aws: aws.c has the settings, fetch.c brings credentials. */
#ifndef AWS_PRIVATE_H
#define AWS_PRIVATE_H

#include "aws/aws.h"
#include "aws/profile.h"
#include "net/http.h"
#include "net/list.h"

/* One that waits for credentials. */
struct aws_waiter {
    struct list_link link;
    aws_fetched *done;
    void *opaque;
};

struct aws {
    uv_loop_t *loop;
    struct http *http;  /* for what tells credentials on this machine */
    char *profile_name; /* that was asked for, or NULL */
    struct aws_profile profile;
    uv_timer_t turn;          /* ends a fetch that had to ask nobody */
    struct list_link waiters; /* a fetch is under way where there are any */
    char *token, *role;       /* of an instance's metadata */
    char *access_key, *secret_key, *session_token;
    struct aws_credentials credentials; /* of the last fetch; access_key NULL: none */
    struct error error;
    bool closing, turn_closed, http_closed;
    void (*closed)(void *opaque);
    void *opaque;
};

/* fetch.c */
/* As the variables or the profile have them; false where they have none. */
bool aws_take_static(struct aws *aws);
void aws_begin_fetch(struct aws *aws);
/* Calls back all who wait, with the credentials or the error. */
void aws_end_fetch(struct aws *aws);

/* The variable's value, NULL where it is unset or empty. */
const char *aws_variable(const char *name);

#endif
