#include "mu/invocation.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mu/job.h"

enum { FORMAT = 1, LEAST_TOKEN = 16, LONGEST = 4096, LONGEST_BUILD = 128 };

static int no_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "out of memory");
}

static int wrong(struct error *error, const char *member, const char *wanted)
{
    return error_set(error, -EINVAL, "the invocation's \"%s\" is not %s", member, wanted);
}

/* ---- Reading ------------------------------------------------------------------------------- */

/* True for an object with no other members than `allowed`, which ends with NULL. */
static bool has_only(json_t *object, const char *const allowed[], struct error *error)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        int i = 0;
        while (allowed[i] != NULL && strcmp(allowed[i], key) != 0)
            i++;
        if (allowed[i] != NULL)
            continue;
        error_set(error, -EINVAL, "an invocation has no member \"%.64s\" there", key);
        return false;
    }
    return true;
}

/* Copies a string of 1 to `most` bytes. */
static int take_string(json_t *object, const char *member, size_t most, char **string,
                       struct error *error)
{
    json_t *value = json_object_get(object, member);
    const char *text = json_string_value(value);
    if (text == NULL || json_string_length(value) < 1 || json_string_length(value) > most)
        return wrong(error, member, "a string of a length that is allowed");
    *string = strdup(text);
    return *string != NULL ? 0 : no_memory(error);
}

static int take_number(json_t *object, const char *member, json_int_t least, json_int_t most,
                       uint64_t *number, struct error *error)
{
    json_t *value = json_object_get(object, member);
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > most)
        return wrong(error, member, "a number that is allowed");
    *number = (uint64_t)json_integer_value(value);
    return 0;
}

static int digit_value(char digit)
{
    const char *digits = "0123456789abcdef", *found = strchr(digits, digit);
    return digit != '\0' && found != NULL ? (int)(found - digits) : -1;
}

static int take_token(json_t *object, struct invocation *invocation, struct error *error)
{
    const char *text = json_string_value(json_object_get(object, "token"));
    size_t length = text != NULL ? strlen(text) : 0;
    if (length % 2 != 0 || length < 2 * LEAST_TOKEN || length > 2 * INVOCATION_MOST_TOKEN)
        return wrong(error, "token", "16 to 64 bytes in hexadecimal digits");
    for (size_t i = 0; i < length; i += 2) {
        int high = digit_value(text[i]), low = digit_value(text[i + 1]);
        if (high < 0 || low < 0)
            return wrong(error, "token", "16 to 64 bytes in hexadecimal digits");
        invocation->token[i / 2] = (uint8_t)(high * 16 + low);
    }
    invocation->token_size = length / 2;
    return 0;
}

static int take_place(json_t *object, const char *member, struct invocation_place *place,
                      struct error *error)
{
    static const char *const allowed[] = {"host", "port", NULL};
    uint64_t port = 0;
    if (!json_is_object(object))
        return wrong(error, member, "a place with \"host\" and \"port\"");
    if (!has_only(object, allowed, error))
        return -EINVAL;
    int code = take_string(object, "host", 255, &place->host, error);
    if (code == 0)
        code = take_number(object, "port", 1, UINT16_MAX, &port, error);
    place->port = (uint16_t)port;
    return code;
}

static int take_rendezvous(json_t *object, struct invocation *invocation, struct error *error)
{
    json_t *array = json_object_get(object, "rendezvous");
    size_t count = json_array_size(array);
    if (!json_is_array(array) || count < 1 || count > INVOCATION_MOST_RENDEZVOUS)
        return wrong(error, "rendezvous", "a list of 1 to 64 places");
    invocation->rendezvous = calloc(count + 1, sizeof *invocation->rendezvous);
    if (invocation->rendezvous == NULL)
        return no_memory(error);
    invocation->rendezvous_count = count;
    int code = 0;
    for (size_t i = 0; i < count && code == 0; i++)
        code =
            take_place(json_array_get(array, i), "rendezvous", &invocation->rendezvous[i], error);
    return code;
}

static int take_credentials(json_t *object, struct invocation *invocation, struct error *error)
{
    json_t *value = json_object_get(object, "credentials");
    struct error reason;
    if (!json_is_string(value))
        return wrong(error, "credentials", "a text");
    int code = credentials_read(json_string_value(value), json_string_length(value),
                                &invocation->credentials, &reason);
    if (code == -ENOMEM)
        return no_memory(error);
    if (code < 0 || invocation->credentials.own->key == NULL)
        return wrong(error, "credentials", "a key with its certificate and an authority's");
    return 0;
}

/* What a worker does and where. */
static int take_work(json_t *object, struct invocation *invocation, struct error *error)
{
    uint64_t slots = 0;
    int code = take_string(object, "store", LONGEST, &invocation->store, error);
    if (code == 0)
        code = take_string(object, "scratch", LONGEST, &invocation->scratch, error);
    if (code == 0 && invocation->scratch[0] != '/')
        code = wrong(error, "scratch", "an absolute path");
    if (code == 0)
        code = take_number(object, "slots", 1, INVOCATION_MOST_SLOTS, &slots, error);
    invocation->slots = (uint32_t)slots;
    if (code == 0 && json_object_get(object, "keep") != NULL)
        code = take_string(object, "keep", LONGEST, &invocation->keep, error);
    if (code == 0 && invocation->keep != NULL && invocation->keep[0] != '/')
        code = wrong(error, "keep", "an absolute path");
    invocation->patience_ms = INVOCATION_PATIENCE_MS;
    if (code == 0 && json_object_get(object, "patience_ms") != NULL)
        code = take_number(object, "patience_ms", 1, INT64_C(1000) * JOB_MOST_SECONDS,
                           &invocation->patience_ms, error);
    if (code == 0 && json_object_get(object, "life_ms") != NULL)
        code = take_number(object, "life_ms", 1, INT64_C(1000) * JOB_MOST_SECONDS,
                           &invocation->life_ms, error);
    return code;
}

/* All but the credentials. */
static int take_rest(json_t *object, struct invocation *invocation, struct error *error)
{
    static const char *const allowed[] = {"format",      "build",       "job",   "worker",
                                          "token",       "coordinator", "store", "rendezvous",
                                          "credentials", "scratch",     "slots", "patience_ms",
                                          "keep",        "life_ms",     NULL};
    uint64_t format, worker = 0;
    if (!json_is_object(object))
        return error_set(error, -EINVAL, "the invocation is not a JSON object");
    if (!has_only(object, allowed, error))
        return -EINVAL;
    int code = take_number(object, "format", FORMAT, FORMAT, &format, error);
    if (code == 0)
        code = take_string(object, "build", LONGEST_BUILD, &invocation->build, error);
    if (code == 0)
        code = take_string(object, "job", JOB_MOST_NAME, &invocation->job, error);
    if (code == 0 && !job_name_valid(invocation->job))
        code = wrong(error, "job", "a name");
    if (code == 0)
        code = take_number(object, "worker", 0, UINT32_MAX, &worker, error);
    invocation->worker = (uint32_t)worker;
    if (code == 0)
        code = take_token(object, invocation, error);
    if (code == 0)
        code = take_place(json_object_get(object, "coordinator"), "coordinator",
                          &invocation->coordinator, error);
    if (code == 0)
        code = take_rendezvous(object, invocation, error);
    return code == 0 ? take_work(object, invocation, error) : code;
}

int invocation_read(const char *text, size_t size, struct invocation *invocation,
                    struct error *error)
{
    memset(invocation, 0, sizeof *invocation);
    if (size > INVOCATION_MOST_BYTES)
        return error_set(error, -EINVAL, "the invocation is longer than %d bytes",
                         INVOCATION_MOST_BYTES);
    json_error_t reason;
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &reason);
    if (object == NULL)
        return error_set(error, -EINVAL, "the invocation is not JSON (line %d)", reason.line);
    int code = take_rest(object, invocation, error);
    if (code == 0)
        code = take_credentials(object, invocation, error);
    json_decref(object);
    if (code < 0)
        invocation_release(invocation);
    return code;
}

/* ---- From a file --------------------------------------------------------------------------- */

static int check_private(int fd, const char *path, struct error *error)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return error_set(error, -EINVAL, "%s is not a file", path);
    if (status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return error_set(error, -EACCES,
                         "%s holds a key: it must be this user's, and nobody else's to read or "
                         "write (mode 0600)",
                         path);
    return 0;
}

static int read_all(int fd, char *text, size_t most, size_t *size)
{
    *size = 0;
    while (*size < most) {
        ssize_t count = read(fd, text + *size, most - *size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            break;
        *size += (size_t)count;
    }
    return 0;
}

static int load_from(int fd, const char *name, struct invocation *invocation, struct error *error)
{
    enum { ROOM = INVOCATION_MOST_BYTES + 1 };
    size_t size;
    char *text = malloc(ROOM);
    if (text == NULL)
        return no_memory(error);
    int code = read_all(fd, text, ROOM, &size);
    code = code < 0 ? error_set(error, code, "cannot read %s: %s", name, strerror(-code))
                    : invocation_read(text, size, invocation, error);
    explicit_bzero(text, ROOM);
    free(text);
    return code;
}

int invocation_load(const char *path, struct invocation *invocation, struct error *error)
{
    memset(invocation, 0, sizeof *invocation);
    if (strcmp(path, "-") == 0)
        return load_from(STDIN_FILENO, "standard input", invocation, error);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return error_set(error, -errno, "cannot open %s: %s", path, strerror(errno));
    int code = check_private(fd, path, error);
    if (code == 0)
        code = load_from(fd, path, invocation, error);
    close(fd);
    return code;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static json_t *pack_place(const struct invocation_place *place)
{
    return json_pack("{s:s, s:i}", "host", place->host, "port", (int)place->port);
}

static json_t *pack_rendezvous(const struct invocation *invocation)
{
    json_t *array = json_array();
    for (size_t i = 0; array != NULL && i < invocation->rendezvous_count; i++) {
        if (json_array_append_new(array, pack_place(&invocation->rendezvous[i])) == 0)
            continue;
        json_decref(array);
        return NULL;
    }
    return array;
}

static json_t *pack(const struct invocation *invocation, const char *pem)
{
    char token[2 * INVOCATION_MOST_TOKEN + 1] = "";
    for (size_t i = 0; i < invocation->token_size; i++)
        snprintf(token + 2 * i, 3, "%02x", invocation->token[i]);
    json_t *life = invocation->life_ms > 0 ? json_integer((json_int_t)invocation->life_ms) : NULL;
    return json_pack("{s:i, s:s, s:s, s:I, s:s, s:o, s:o, s:s, s:s, s:s, s:I, s:I, s:s*, s:o*}",
                     "format", FORMAT, "build", invocation->build, "job", invocation->job, "worker",
                     (json_int_t)invocation->worker, "token", token, "coordinator",
                     pack_place(&invocation->coordinator), "rendezvous",
                     pack_rendezvous(invocation), "credentials", pem, "store", invocation->store,
                     "scratch", invocation->scratch, "slots", (json_int_t)invocation->slots,
                     "patience_ms", (json_int_t)invocation->patience_ms, "keep", invocation->keep,
                     "life_ms", life);
}

/* The credentials are sound, since credentials_write() took them: to read them again would take longer
 * than all else that a new worker needs. */
static int check_rest(json_t *object, struct error *error)
{
    struct invocation again = {0};
    int code = take_rest(object, &again, error);
    invocation_release(&again);
    return code;
}

int invocation_write(const struct invocation *invocation, char **text, struct error *error)
{
    *text = NULL;
    char *pem;
    if (invocation->token_size > INVOCATION_MOST_TOKEN)
        return wrong(error, "token", "16 to 64 bytes in hexadecimal digits");
    if (invocation->credentials.own->key == NULL)
        return wrong(error, "credentials", "a key with its certificate and an authority's");
    int code = credentials_write(&invocation->credentials, &pem, error);
    if (code < 0)
        return code;
    json_t *object = pack(invocation, pem);
    certificate_forget(pem);
    if (object == NULL)
        return error_set(error, -EINVAL, "the invocation has a text that is not UTF-8");
    code = check_rest(object, error);
    if (code == 0 && (*text = json_dumps(object, JSON_INDENT(1))) == NULL)
        code = no_memory(error);
    json_decref(object);
    if (code == 0 && strlen(*text) > INVOCATION_MOST_BYTES) {
        certificate_forget(*text);
        *text = NULL;
        code = error_set(error, -EINVAL, "the invocation is longer than %d bytes",
                         INVOCATION_MOST_BYTES);
    }
    return code;
}

void invocation_release(struct invocation *invocation)
{
    free(invocation->coordinator.host);
    for (size_t i = 0; i < invocation->rendezvous_count; i++)
        free(invocation->rendezvous[i].host);
    free(invocation->rendezvous);
    free(invocation->build);
    free(invocation->job);
    free(invocation->store);
    free(invocation->scratch);
    free(invocation->keep);
    credentials_release(&invocation->credentials);
    explicit_bzero(invocation, sizeof *invocation);
}
