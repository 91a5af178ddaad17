/* The document that tells a worker what to do: what is written is read again, all else is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mu/invocation.h"

static struct certificate *authority, *own;

static int make_certificates(void **state)
{
    struct error error;
    time_t now = time(NULL);
    const struct certificate_subject subject = {
        .name = "a", .from = now - 10, .until = now + 1000, .use = CERTIFICATE_CLIENT};
    return certificate_make_authority(&subject, &authority, &error) |
           certificate_issue(authority, &subject, &own, &error);
}

static int free_certificates(void **state)
{
    certificate_free(authority);
    certificate_free(own);
    return 0;
}

static char *document(void)
{
    struct invocation_place rendezvous[2] = {{"127.0.0.1", 4434}, {"rendezvous.example", 1}};
    const struct invocation invocation = {
        .build = "4c1f",
        .job = "film-7",
        .worker = UINT32_MAX,
        .token = {0, 1, 0xfe, 0xff},
        .token_size = 16,
        .coordinator = {"::1", 65535},
        .rendezvous = rendezvous,
        .rendezvous_count = 2,
        .credentials = {own, authority},
        .store = "/srv/objects",
        .scratch = "/tmp",
        .slots = 3,
        .patience_ms = 1234,
        .life_ms = 900000,
    };
    struct error error;
    char *text;
    if (invocation_write(&invocation, &text, &error) < 0)
        fail_msg("%s", error.message);
    return text;
}

static void what_is_written_is_read(void **state)
{
    struct invocation read;
    struct error error;
    char *text = document();
    assert_int_equal(invocation_read(text, strlen(text), &read, &error), 0);
    assert_string_equal(read.build, "4c1f");
    assert_string_equal(read.job, "film-7");
    assert_int_equal(read.worker, UINT32_MAX);
    assert_int_equal(read.token_size, 16);
    assert_memory_equal(read.token, "\0\1\xfe\xff\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    assert_string_equal(read.coordinator.host, "::1");
    assert_int_equal(read.coordinator.port, 65535);
    assert_int_equal(read.rendezvous_count, 2);
    assert_string_equal(read.rendezvous[1].host, "rendezvous.example");
    assert_int_equal(read.rendezvous[0].port, 4434);
    assert_string_equal(read.store, "/srv/objects");
    assert_string_equal(read.scratch, "/tmp");
    assert_int_equal(read.slots, 3);
    assert_int_equal(read.patience_ms, 1234);
    assert_int_equal(read.life_ms, 900000);
    assert_non_null(read.credentials.own->key);
    assert_null(read.credentials.authority->key);
    invocation_release(&read);
    assert_null(read.store);
    certificate_forget(text);
}

/* The document with one member replaced (NULL: removed) must be refused, and no secret be told. */
static void refuse(const char *member, json_t *value)
{
    char *text = document(), *changed;
    struct invocation read;
    struct error error;
    json_t *object = json_loads(text, 0, NULL);
    if (value != NULL)
        json_object_set_new(object, member, value);
    else
        json_object_del(object, member);
    changed = json_dumps(object, 0);
    assert_int_equal(invocation_read(changed, strlen(changed), &read, &error), -EINVAL);
    if (strstr(error.message, member) == NULL && strstr(error.message, "host") == NULL &&
        strstr(error.message, "port") == NULL)
        fail_msg("%s does not name %s", error.message, member);
    assert_null(strstr(error.message, "0001feff"));
    assert_null(read.store);
    json_decref(object);
    free(changed);
    certificate_forget(text);
}

static void all_else_is_refused(void **state)
{
    static const char *const members[] = {"format", "build",       "job",    "worker",
                                          "token",  "coordinator", "store",  "rendezvous",
                                          "slots",  "credentials", "scratch"};
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        refuse(members[i], NULL);
        refuse(members[i], json_null());
        refuse(members[i], json_object());
        refuse(members[i], json_string(""));
        refuse(members[i], json_integer(-1));
    }
    refuse("patience_ms", json_integer(0));
    refuse("life_ms", json_integer(0));
    refuse("slots", json_integer(INVOCATION_MOST_SLOTS + 1));
    refuse("worker", json_integer(INT64_C(4294967296)));
    refuse("format", json_integer(2));
    refuse("job", json_string("../7"));
    refuse("scratch", json_string("tmp"));
    refuse("token", json_string("00112233445566778899aabbccddeefg"));
    refuse("token", json_string("0011"));
    refuse("credentials", json_string("no certificate"));
    refuse("coordinator", json_pack("{s:s}", "host", "x"));
    refuse("coordinator", json_pack("{s:s, s:i}", "host", "x", "port", 0));
    refuse("coordinator", json_pack("{s:s, s:i, s:i}", "host", "x", "port", 1, "portal", 1));
    refuse("rendezvous", json_array());
    refuse("surprise", json_true());
}

static void broken_text_is_refused(void **state)
{
    char *text = document();
    struct invocation read;
    struct error error;
    for (size_t size = 0; size + 1 < strlen(text); size += 7)
        assert_int_equal(invocation_read(text, size, &read, &error), -EINVAL);
    char *twice = NULL;
    assert_true(asprintf(&twice, "{\"format\": 1, %s", text + 1) > 0);
    assert_int_equal(invocation_read(twice, strlen(twice), &read, &error), -EINVAL);
    char *longest = calloc(1, INVOCATION_MOST_BYTES + 1);
    assert_int_equal(invocation_read(longest, INVOCATION_MOST_BYTES + 1, &read, &error), -EINVAL);
    free(longest);
    free(twice);
    certificate_forget(text);
}

static void only_private_files_are_read(void **state)
{
    char path[] = "/tmp/test-invocation-XXXXXX", *text = document();
    struct invocation read;
    struct error error;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(invocation_load(path, &read, &error), 0);
    invocation_release(&read);
    for (mode_t bit = 1; bit <= 040; bit <<= 1) {
        assert_int_equal(fchmod(fd, 0600 | bit), 0);
        assert_int_equal(invocation_load(path, &read, &error), -EACCES);
    }
    assert_int_equal(fchmod(fd, 0400), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
    assert_int_equal(invocation_load("-", &read, &error), 0);
    invocation_release(&read);
    close(fd);
    unlink(path);
    assert_int_equal(invocation_load(path, &read, &error), -ENOENT);
    assert_int_equal(invocation_load("/tmp", &read, &error), -EINVAL);
    certificate_forget(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(all_else_is_refused),
        cmocka_unit_test(broken_text_is_refused),
        cmocka_unit_test(only_private_files_are_read),
    };
    return cmocka_run_group_tests(tests, make_certificates, free_certificates);
}
