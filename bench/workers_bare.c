/* The peer of bench_workers: an accept loop of bare OpenSSL calls on blocking sockets, which takes
 * hellos and answers as much as a coordinator would. */
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mu/invocation.h"
#include "mu/wire.h"
#include "workers.h"

static size_t add_frame(uint8_t *at, const Mu__Envelope *envelope)
{
    size_t size = mu__envelope__get_packed_size(envelope);
    size_t head = frame_control_head(at, (uint32_t)size);
    mu__envelope__pack(envelope, at + head);
    return head + size;
}

/* A welcome and a first request. */
static size_t make_answer(uint8_t answer[512])
{
    char *argv[] = {(char *)"true"};
    Mu__Welcome welcome = MU__WELCOME__INIT;
    Mu__Call call = MU__CALL__INIT;
    Mu__Run run = MU__RUN__INIT;
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    welcome.heartbeat_ms = 60000;
    envelope.body_case = MU__ENVELOPE__BODY_WELCOME;
    envelope.welcome = &welcome;
    size_t size = add_frame(answer, &envelope);
    call.actor = (char *)"a-000000";
    call.attempt = 1;
    call.request = 1;
    run.argv = argv;
    run.n_argv = 1;
    request.call = &call;
    request.what_case = MU__REQUEST__WHAT_RUN;
    request.run = &run;
    envelope.body_case = MU__ENVELOPE__BODY_REQUEST;
    envelope.request = &request;
    return size + add_frame(answer + size, &envelope);
}

void bare_serve(int to, struct report *report)
{
    static SSL *all[WORKERS];
    SSL_CTX *context = bare_context(TLS_server_method(), &server_keys);
    uint8_t hello[2048], answer[512];
    uint16_t port;
    int size = (int)make_answer(answer);
    int listening = bare_listen(&port);
    tell_port(to, port);
    while (!shared->ready)
        usleep(1000);
    count_begin();
    for (int i = 0; i < WORKERS; i++) {
        all[i] = bare_accept(context, listening);
        MUST(SSL_read(all[i], hello, sizeof hello) > 0);
        MUST(SSL_write(all[i], answer, size) == size);
    }
    while (!shared->joined)
        usleep(1000);
    count_end();
    shared->finished = shared->counted = true;
}

void bare_documents(void)
{
    char identity[64];
    struct invocation_place nowhere = {(char *)"127.0.0.1", 1};
    struct invocation invocation = {.build = (char *)"bench",
                                    .job = (char *)"bench",
                                    .token_size = 32,
                                    .coordinator = {(char *)"127.0.0.1", 1},
                                    .rendezvous = &nowhere,
                                    .rendezvous_count = 1,
                                    .store = (char *)"/",
                                    .scratch = (char *)"/",
                                    .slots = 1,
                                    .patience_ms = 10000};
    invocation.credentials.authority = server_keys.authority;
    for (uint32_t i = 0; i < WORKERS; i++) {
        char *text;
        struct error error;
        invocation.worker = i + 1;
        snprintf(identity, sizeof identity, "excamera:job/bench/worker/%u", i + 1);
        invocation.credentials.own =
            bench_certificate(server_keys.authority, identity, CERTIFICATE_CLIENT);
        MUST(invocation_write(&invocation, &text, &error) == 0 && strlen(text) < DOCUMENT);
        strcpy(shared->document[i], text);
        certificate_forget(text);
        certificate_free(invocation.credentials.own);
    }
    shared->started = WORKERS;
    shared->ready = true;
}
