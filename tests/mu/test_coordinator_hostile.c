/* Who dials a coordinator and does what he may not, or as little as he can: he is cut off or put up with,
 * and the job that goes on meanwhile ends as it should. */
#include "hostile_support.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/identity.h"
#include "store/store.h"
#include "support/scratch.h"

static uint16_t port_of(const struct site *site)
{
    return site->invocation.coordinator.port;
}

/* A worker with a good certificate that has said nothing. */
static SSL *connect_worker(const struct site *site)
{
    char name[128];
    site_server_name(&site->invocation, name);
    SSL *ssl = site_connect(port_of(site), &site->invocation.credentials, name);
    assert_non_null(ssl);
    return ssl;
}

/* One that was let in. */
static SSL *join(const struct site *site)
{
    SSL *ssl = connect_worker(site);
    site_hello(site, ssl, 0);
    site_await_welcome(ssl);
    return ssl;
}

/* ---- who may come in ------------------------------------------------------------------------ */

/* TLS 1.3 tells a client only afterwards that it is refused. */
static void expect_refused(struct site *site, const struct credentials *credentials,
                           const char *server_name)
{
    int refused = site->told->refused;
    SSL *ssl = site_connect(port_of(site), credentials, server_name);
    if (ssl != NULL) {
        site_hello(site, ssl, 0);
        assert_true(site_is_cut(ssl));
    }
    while (site->told->refused == refused)
        usleep(1000);
}

static void strangers(void **state)
{
    struct site *site = *state;
    struct credentials expired;
    char own[128], other[128];
    site_server_name(&site->invocation, own);
    site_server_name(&site->stranger, other);
    site_expired(site, &expired);
    expect_refused(site, NULL, own);
    expect_refused(site, &expired, own);
    expect_refused(site, &site->stranger.credentials, own);
    /* His own door, with the words of another job's worker. */
    expect_refused(site, &site->stranger.credentials, other);
    expect_refused(site, &site->invocation.credentials, other);
    expect_refused(site, &site->invocation.credentials, "job-0.excamera.invalid");
    expect_refused(site, &site->invocation.credentials, DOMAIN_DEPLOYMENT);
    credentials_release(&expired);
    site_finish(site);
}

static void another_token(void **state)
{
    struct site *site = *state;
    SSL *first = join(site);
    SSL *second = connect_worker(site);
    site_hello(site, second, 1);
    assert_true(site_is_cut(second));
    /* The first one is still there; with the right token its place is taken. */
    second = join(site);
    assert_true(site_is_cut(first));
    site_hang_up(second);
    site_finish(site);
}

/* ---- what they may not have ----------------------------------------------------------------- */

static void expect_no_url(SSL *ssl, const char *key, uint32_t attempt)
{
    static uint64_t questions;
    uint8_t zeros[WIRE_SHA256] = {0};
    Mu__Sign sign = MU__SIGN__INIT;
    Mu__Identity identity = MU__IDENTITY__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    identity.sha256.data = sign.md5.data = zeros;
    identity.sha256.len = WIRE_SHA256;
    sign.md5.len = STORE_MD5_SIZE;
    sign.question = ++questions;
    sign.key = (char *)key;
    sign.attempt = attempt;
    sign.identity = &identity;
    envelope.body_case = MU__ENVELOPE__BODY_SIGN;
    envelope.sign = &sign;
    site_say(ssl, &envelope);
    Mu__Envelope *answer = site_await(ssl, MU__ENVELOPE__BODY_SIGNED);
    assert_int_equal(answer->signed_->question, questions);
    assert_string_equal(answer->signed_->url, "");
    assert_non_null(strstr(answer->signed_->error, "no actor of this worker"));
    wire_free(answer);
}

/* URLs of the store: for what its own actors are at, and it has none. */
static void objects_of_others(void **state)
{
    struct site *site = *state;
    SSL *ssl = join(site);
    expect_no_url(ssl, "a", 0);
    expect_no_url(ssl, "a", 1);
    expect_no_url(ssl, "../a", 0);
    expect_no_url(ssl, "messages/nobody/nobody/a", 1);
    expect_no_url(ssl, "messages/", 1);
    expect_no_url(ssl, "parked/nobody", 1);
    expect_no_url(ssl, "parked/nobody.attempt-1", 0);
    site_hang_up(ssl);
    site_finish(site);
}

/* ---- what they may not say ------------------------------------------------------------------ */

static void write_all(SSL *ssl, const void *bytes, int size)
{
    SSL_write(ssl, bytes, size);
}

static void say_garbage(SSL *ssl)
{
    write_all(ssl, "\x05\0\0\0\0\xff\xff\xff\xff", 9);
}

static void say_http(SSL *ssl)
{
    write_all(ssl, "GET / HTTP/1.1\r\n\r\n", 18);
}

static void say_too_long(SSL *ssl)
{
    write_all(ssl, "\xff\xff\xff\xff\0", 5);
}

static void say_just_too_long(SSL *ssl)
{
    write_all(ssl, "\x02\0\x10\0\0", 5); /* 1 MiB and one byte, and the type */
}

static void say_bulk(SSL *ssl)
{
    write_all(ssl, "\x0a\0\0\0\x01\x01\0\0\0\0\0\0\0x", 14);
}

static void say_nothing_in_it(SSL *ssl)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    site_say(ssl, &envelope);
}

static void say_dismiss(SSL *ssl)
{
    Mu__Dismiss dismiss = MU__DISMISS__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_DISMISS;
    envelope.dismiss = &dismiss;
    site_say(ssl, &envelope);
}

static void say_cancel(SSL *ssl)
{
    Mu__Cancel cancel = MU__CANCEL__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_CANCEL;
    envelope.cancel = &cancel;
    site_say(ssl, &envelope);
}

static void say_outcome_of_nobody(SSL *ssl)
{
    Mu__Outcome outcome = MU__OUTCOME__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_OUTCOME;
    envelope.outcome = &outcome;
    site_say(ssl, &envelope);
}

static void say_copy_without_name(SSL *ssl)
{
    Mu__Stored stored = MU__STORED__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_STORED;
    envelope.stored = &stored;
    site_say(ssl, &envelope);
}

static void say_too_much(SSL *ssl)
{
    static uint8_t tail[WIRE_TAIL_MOST + 1];
    Mu__Outcome outcome = MU__OUTCOME__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    outcome.stderr_tail.data = tail;
    outcome.stderr_tail.len = sizeof tail;
    envelope.body_case = MU__ENVELOPE__BODY_OUTCOME;
    envelope.outcome = &outcome;
    site_say(ssl, &envelope);
}

static void say_sign_without_sum(SSL *ssl)
{
    Mu__Sign sign = MU__SIGN__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    sign.key = "a";
    sign.attempt = 1;
    envelope.body_case = MU__ENVELOPE__BODY_SIGN;
    envelope.sign = &sign;
    site_say(ssl, &envelope);
}

/* Within the longest message, as many parts as fit. */
static void say_very_many_parts(SSL *ssl)
{
    enum { COUNT = 200000 };
    static Mu__Held held = MU__HELD__INIT;
    static Mu__Held *all[COUNT];
    Mu__WorkerHello who = MU__WORKER_HELLO__INIT;
    Mu__Hello hello = MU__HELLO__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    for (int i = 0; i < COUNT; i++)
        all[i] = &held;
    who.held = all;
    who.n_held = COUNT;
    hello.protocol = MU_PROTOCOL;
    hello.who_case = MU__HELLO__WHO_WORKER;
    hello.worker = &who;
    envelope.body_case = MU__ENVELOPE__BODY_HELLO;
    envelope.hello = &hello;
    site_say(ssl, &envelope);
}

static void end_in_the_middle(SSL *ssl)
{
    write_all(ssl, "\xff\0\0\0\0abc", 8);
    shutdown(SSL_get_fd(ssl), SHUT_WR);
}

static void not_even_tls(SSL *ssl)
{
    static const char text[] = "\x17\x03\x03\x00\x04oops";
    assert_int_equal(write(SSL_get_fd(ssl), text, sizeof text - 1), sizeof text - 1);
}

static void (*const wrong[])(SSL *ssl) = {
    say_garbage,
    say_http,
    say_too_long,
    say_just_too_long,
    say_bulk,
    say_nothing_in_it,
    say_dismiss,
    say_cancel,
    say_outcome_of_nobody,
    say_copy_without_name,
    say_sign_without_sum,
    say_too_much,
    say_very_many_parts,
    end_in_the_middle,
    not_even_tls,
};

static void what_is_not_allowed(void **state)
{
    struct site *site = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        SSL *ssl = join(site);
        wrong[i](ssl);
        assert_true(site_is_cut(ssl));
        ssl = connect_worker(site);
        wrong[i](ssl); /* the same without a hello */
        assert_true(site_is_cut(ssl));
    }
    SSL *ssl = join(site);
    site_hello(site, ssl, 0);
    assert_true(site_is_cut(ssl));
    site_finish(site);
}

/* Outcomes of what is others', or of nothing, are of no account. */
static void what_is_not_its_own(void **state)
{
    struct site *site = *state;
    static const char *const actors[] = {"part-000000", "part-000003", "part-999999", "", "a/b"};
    SSL *ssl = join(site);
    for (size_t i = 0; i < 5; i++) {
        Mu__Call call = MU__CALL__INIT;
        Mu__Outcome outcome = MU__OUTCOME__INIT;
        Mu__Envelope envelope = MU__ENVELOPE__INIT;
        call.actor = (char *)actors[i];
        call.attempt = 1;
        call.request = 1;
        outcome.call = &call;
        outcome.result = MU__OUTCOME__RESULT__FAILED;
        envelope.body_case = MU__ENVELOPE__BODY_OUTCOME;
        envelope.outcome = &outcome;
        site_say(ssl, &envelope);
    }
    site_finish(site);
    site_hang_up(ssl);
}

/* ---- slow ones, and many -------------------------------------------------------------------- */

/* Each begins something and does not go on; they stay until the job is done. */
static void slow_ones(void **state)
{
    enum { COUNT = 20 };
    struct site *site = *state;
    SSL *let_in[3 * COUNT];
    int strangers[2 * COUNT];
    static const char record[] = "\x16\x03\x01\x02\x00\x01";
    for (int i = 0; i < COUNT; i++) {
        strangers[2 * i] = site_dial(port_of(site)); /* says nothing at all */
        strangers[2 * i + 1] = site_dial(port_of(site));
        assert_int_equal(send(strangers[2 * i + 1], record, (size_t)i % 6 + 1, 0), i % 6 + 1);
        let_in[3 * i] = connect_worker(site); /* no hello */
        let_in[3 * i + 1] = connect_worker(site);
        write_all(let_in[3 * i + 1], "\xff\xff\x0f\0\0x", 5 + i % 2); /* a message that goes on */
        let_in[3 * i + 2] = connect_worker(site);
        shutdown(SSL_get_fd(let_in[3 * i + 2]), SHUT_WR); /* half closed */
    }
    site_finish(site);
    for (int i = 0; i < 3 * COUNT; i++)
        site_hang_up(let_in[i]);
    for (int i = 0; i < 2 * COUNT; i++)
        close(strangers[i]);
}

/* Those that shook hands and do not say hello go by themselves. */
static void no_hello(void **state)
{
    struct site *site = *state;
    SSL *ssl = connect_worker(site);
    assert_true(site_is_cut(ssl));
    site_finish(site);
}

/* The coordinator has opened the way for many. */
static void files(void **state)
{
    struct site *site = *state;
    char path[64], line[256];
    unsigned long now = 0;
    snprintf(path, sizeof path, "/proc/%d/limits", (int)site->server);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Max open files %lu", &now) == 1)
            break;
    fclose(file);
    assert_int_equal(now, site_most_files());
    site_finish(site);
}

static int how_many(void)
{
    static const int counts[] = {[TEST_QUICK] = 200, [TEST_NORMAL] = 2000, [TEST_ALL] = 10000};
    int count = counts[test_level()], most = (int)site_most_files() - 100;
    return count < most ? count : most;
}

/* A worker of the job, as the coordinator's process has started it. */
static pid_t first_worker(const struct site *site)
{
    char path[64];
    int pid = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)site->server, (int)site->server);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &pid), 1);
    fclose(file);
    return pid;
}

/* Connections to coordinator and rendezvous, some with a little of a handshake; and a worker is lost, so
 * that another one has to get through. */
static void very_many(void **state)
{
    enum { MOST_EACH = 65536 };
    struct site *site = *state;
    int count = how_many(), *all = calloc((size_t)count, sizeof *all);
    uint16_t ports[] = {port_of(site), site->invocation.rendezvous[0].port};
    static const char record[] = "\x16\x03\x01\x02\x00\x01";
    double before = site_memory(site);
    assert_non_null(all);
    for (int i = 0; i < count; i++) {
        all[i] = site_dial(ports[i % 2]);
        /* May be cut off already: too many are shaking hands. */
        send(all[i], record, (size_t)i % 6 + 1, MSG_NOSIGNAL);
    }
    assert_int_equal(kill(first_worker(site), SIGKILL), 0);
    assert_true(site_memory(site) - before < (double)count * MOST_EACH);
    site_finish(site);
    for (int i = 0; i < count; i++)
        close(all[i]);
    free(all);
}

static void raise_limit(void)
{
    const struct rlimit limit = {site_most_files(), site_most_files()};
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SITE_TEST(strangers),
        SITE_TEST(another_token),
        SITE_TEST(objects_of_others),
        SITE_TEST(what_is_not_allowed),
        SITE_TEST(what_is_not_its_own),
        SITE_TEST(slow_ones),
        SITE_TEST(no_hello),
        SITE_TEST(files),
        SITE_TEST(very_many),
    };
    raise_limit();
    alarm(280);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
