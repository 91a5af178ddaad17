#include "media/remote.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "util/await.h"

enum {
    BLOCK = 256 << 10, /* bytes */
    BLOCKS = 48,       /* in the cache, 12 MiB */
    MOST_AHEAD = 32,   /* blocks asked for at once */
    MOST_TRIES = 8,    /* of a request; the waits between them come to about half a minute */
    FIRST_WAIT_MS = 200,
    MOST_WAIT_MS = 10000,
    CONNECT_SECONDS = 20,
    SLOW_SECONDS = 30, /* a transfer may stand still */
    TAG_SIZE = 256,
    URL_SIZE = 16384,
};

struct block {
    int64_t number; /* in the file; -1 where the block is free */
    uint64_t used;  /* when, in reads */
    uint8_t *bytes; /* [BLOCK], or NULL */
};

struct remote {
    CURL *curl;
    char *reference; /* NULL: the URL is as it was given */
    char *name;
    int64_t size; /* -1 before the first answer */
    char tag[TAG_SIZE];
    struct block block[BLOCKS];
    uint64_t reads;
    int64_t next; /* block behind those that were asked for the last time */
    int ahead;    /* how many these were */
};

/* One request and what has come of it. */
struct answer {
    struct remote *remote;
    int64_t first; /* block */
    size_t length; /* bytes wanted */
    size_t come;
    long status;
    bool partial; /* it says which range it is, and it is the one wanted */
    bool changed; /* it is of another file than before */
    bool empty;   /* the file has no bytes */
};

static const char reference_mark[] = "reference:", tag_mark[] = "#etag=";

/* ---- Names ----------------------------------------------------------------------------------- */

bool remote_is_reference(const char *path)
{
    return strncmp(path, reference_mark, strlen(reference_mark)) == 0;
}

bool remote_is_url(const char *path)
{
    return strncasecmp(path, "http://", 7) == 0 || strncasecmp(path, "https://", 8) == 0 ||
           remote_is_reference(path);
}

int remote_read_reference(const char *reference, char **url, struct error *error)
{
    const char *path = reference + strlen(reference_mark);
    char line[URL_SIZE];
    FILE *file = fopen(path, "rbe");
    *url = NULL;
    if (file == NULL)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    if (strstr(line, "://") == NULL)
        return error_set(error, -EINVAL, "%s holds no URL", path);
    *url = strdup(line);
    return *url != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
}

char *remote_name(const char *url)
{
    struct error error;
    char *read = NULL;
    if (remote_is_reference(url) && remote_read_reference(url, &read, &error) < 0)
        return NULL;
    const char *whole = read != NULL ? read : url;
    char *name = strndup(whole, strcspn(whole, "?#"));
    free(read);
    return name;
}

/* ---- The cache ------------------------------------------------------------------------------- */

static struct block *find_block(struct remote *remote, int64_t number)
{
    for (int i = 0; i < BLOCKS; i++)
        if (remote->block[i].number == number)
            return &remote->block[i];
    return NULL;
}

/* The block that was used the longest ago becomes `number`; NULL for want of memory. */
static struct block *take_block(struct remote *remote, int64_t number)
{
    struct block *oldest = &remote->block[0];
    for (int i = 1; i < BLOCKS; i++)
        if (remote->block[i].used < oldest->used)
            oldest = &remote->block[i];
    if (oldest->bytes == NULL)
        oldest->bytes = malloc(BLOCK);
    if (oldest->bytes == NULL)
        return NULL;
    oldest->number = number;
    oldest->used = ++remote->reads;
    return oldest;
}

/* What has come of blocks that are not complete is of no use. */
static void drop_incomplete(struct remote *remote, const struct answer *answer)
{
    int64_t complete = (int64_t)(answer->come / BLOCK);
    int64_t all = (int64_t)((answer->length + BLOCK - 1) / BLOCK);
    if (answer->come == answer->length)
        return;
    for (int64_t i = complete; i < all; i++) {
        struct block *block = find_block(remote, answer->first + i);
        if (block != NULL)
            block->number = -1;
    }
}

/* ---- Requests -------------------------------------------------------------------------------- */

static size_t on_bytes(char *bytes, size_t one, size_t size, void *opaque)
{
    struct answer *answer = opaque;
    (void)one;
    if (!answer->partial || answer->changed || size > answer->length - answer->come)
        return CURL_WRITEFUNC_ERROR;
    for (size_t done = 0; done < size;) {
        int64_t number = answer->first + (int64_t)(answer->come / BLOCK);
        size_t within = answer->come % BLOCK;
        size_t count = size - done < BLOCK - within ? size - done : BLOCK - within;
        struct block *block =
            within == 0 ? take_block(answer->remote, number) : find_block(answer->remote, number);
        if (block == NULL)
            return CURL_WRITEFUNC_ERROR;
        memcpy(block->bytes + within, bytes + done, count);
        answer->come += count;
        done += count;
    }
    return size;
}

/* "bytes 0-99/1234" (RFC 9110 section 14.4). */
static void take_range(struct answer *answer, const char *value)
{
    struct remote *remote = answer->remote;
    int64_t first, last, size;
    if (sscanf(value, " bytes %" SCNd64 "-%" SCNd64 "/%" SCNd64, &first, &last, &size) != 3 ||
        first != answer->first * BLOCK || last < first || size <= last)
        return;
    answer->changed = answer->changed || (remote->size >= 0 && remote->size != size);
    if (remote->size < 0)
        remote->size = size;
    /* At the file's end less comes than was asked for. */
    if (size - first < (int64_t)answer->length)
        answer->length = (size_t)(size - first);
    answer->partial = true;
}

static void take_tag(struct answer *answer, const char *value, size_t size)
{
    struct remote *remote = answer->remote;
    char tag[TAG_SIZE];
    while (size > 0 && strchr(" \r\n", value[size - 1]) != NULL)
        size--;
    for (; size > 0 && *value == ' '; size--)
        value++;
    snprintf(tag, sizeof tag, "%.*s", (int)(size < sizeof tag ? size : sizeof tag - 1), value);
    answer->changed = answer->changed || (remote->tag[0] != '\0' && strcmp(remote->tag, tag) != 0);
    memcpy(remote->tag, tag, sizeof tag);
}

/* Of redirects, too: only what goes with status 206 counts. */
static size_t on_header(char *line, size_t one, size_t size, void *opaque)
{
    static const char range[] = "content-range:", tag[] = "etag:";
    struct answer *answer = opaque;
    char text[128];
    (void)one;
    curl_easy_getinfo(answer->remote->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    if (answer->status != 206)
        return size;
    if (size >= sizeof range && strncasecmp(line, range, sizeof range - 1) == 0) {
        size_t length = size - (sizeof range - 1);
        snprintf(text, sizeof text, "%.*s", (int)(length < sizeof text ? length : sizeof text - 1),
                 line + sizeof range - 1);
        take_range(answer, text);
    } else if (size >= sizeof tag && strncasecmp(line, tag, sizeof tag - 1) == 0) {
        take_tag(answer, line + sizeof tag - 1, size - (sizeof tag - 1));
    }
    return size;
}

/* What is worth trying again. */
static bool may_pass(const struct answer *answer, CURLcode code)
{
    if (answer->changed)
        return false;
    if (answer->status == 429 || answer->status == 408 || answer->status >= 500)
        return true;
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return true;
    default:
        return false;
    }
}

static int failed(const struct answer *answer, CURLcode code, struct error *error)
{
    const char *name = answer->remote->name;
    if (answer->changed)
        return error_set(error, -ESTALE, "%s has changed while it was read", name);
    switch (answer->status) {
    case 0:
        return error_set(error, -EIO, "cannot read %s: %s", name, curl_easy_strerror(code));
    case 200:
        if (answer->empty)
            return error_set(error, -EINVAL, "%s is empty", name);
        return error_set(error, -EINVAL,
                         "cannot read %s: its server does not give parts of files (ranges)", name);
    case 206:
        return error_set(error, -EIO, "cannot read %s: %s", name,
                         answer->partial ? curl_easy_strerror(code)
                                         : "the server gave another range than was asked for");
    case 401:
    case 403:
        return error_set(error, -EACCES,
                         "cannot read %s: access is denied (%ld); a link of limited life may have "
                         "expired",
                         name, answer->status);
    case 404:
    case 410:
        return error_set(error, -ENOENT, "cannot read %s: there is no such file", name);
    case 416:
        return error_set(error, -EINVAL, "%s is empty", name);
    default:
        return error_set(error, -EIO, "cannot read %s: its server answers with status %ld", name,
                         answer->status);
    }
}

/* Longer from try to try; by chance between half and all of it, so that many do not come at once. */
static void wait_before(int try)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t most = (int64_t)FIRST_WAIT_MS << try;
    if (most > MOST_WAIT_MS)
        most = MOST_WAIT_MS;
    int64_t wait = most / 2 + now.tv_nsec / 1000 % (most / 2);
    struct timespec rest = {wait / 1000, wait % 1000 * 1000000};
    while (nanosleep(&rest, &rest) != 0 && errno == EINTR)
        ;
}

static CURLcode request(struct remote *remote, int64_t first, int count, struct answer *answer)
{
    char range[64];
    *answer = (struct answer){.remote = remote, .first = first, .length = (size_t)count * BLOCK};
    snprintf(range, sizeof range, "%" PRId64 "-%" PRId64, first * BLOCK,
             (first + count) * BLOCK - 1);
    curl_easy_setopt(remote->curl, CURLOPT_RANGE, range);
    curl_easy_setopt(remote->curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(remote->curl, CURLOPT_HEADERDATA, answer);
    CURLcode code = curl_easy_perform(remote->curl);
    curl_easy_getinfo(remote->curl, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_off_t length = -1;
    curl_easy_getinfo(remote->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    answer->empty = length == 0;
    if (code == CURLE_OK && answer->come != answer->length)
        code = CURLE_PARTIAL_FILE;
    drop_incomplete(remote, answer);
    return code;
}

/* Takes the URL, and the tag in it. */
static int take_url(struct remote *remote, const char *url, struct error *error)
{
    const char *tag = strstr(url, tag_mark);
    char *plain = strndup(url, strcspn(url, "#"));
    if (plain == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    if (tag != NULL)
        snprintf(remote->tag, sizeof remote->tag, "%s", tag + strlen(tag_mark));
    CURLcode code = curl_easy_setopt(remote->curl, CURLOPT_URL, plain);
    free(plain);
    return code == CURLE_OK ? 0 : error_set(error, -ENOMEM, "out of memory");
}

/* Services also answer with 400 where what a URL was signed with has expired. */
static bool is_refused(const struct answer *answer)
{
    return answer->status == 400 || answer->status == 401 || answer->status == 403;
}

/* Asks for a new URL. False where there is none. */
static bool renew(struct remote *remote)
{
    struct error error;
    char *url = NULL;
    if (remote->reference == NULL || await_point("url", AWAIT_NO_NUMBER, &error) < 0)
        return false;
    int code = remote_read_reference(remote->reference, &url, &error);
    if (code == 0)
        code = take_url(remote, url, &error);
    free(url);
    return code == 0;
}

/* Brings `count` blocks from `first` on, or to the file's end, into the cache. */
static int fetch(struct remote *remote, int64_t first, int count, struct error *error)
{
    struct answer answer;
    bool renewed = false;
    for (int try = 0;; try++) {
        CURLcode code = request(remote, first, count, &answer);
        if (code == CURLE_OK && answer.status == 206)
            return 0;
        if (is_refused(&answer) && !renewed && renew(remote)) {
            renewed = true;
            continue;
        }
        if (try + 1 == MOST_TRIES || !may_pass(&answer, code))
            return failed(&answer, code, error);
        wait_before(try);
    }
}

/* ---- Opening and reading --------------------------------------------------------------------- */

/* A file of certificates to trust in place of those that the system does, as other programs have it; NULL for none. */
static const char *find_certificates(void)
{
    static const char *const names[] = {"AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *path = getenv(names[i]);
        if (path != NULL && *path != '\0')
            return path;
    }
    return NULL;
}

static void set_options(struct remote *remote)
{
    CURL *curl = remote->curl;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (find_certificates() != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, find_certificates());
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SLOW_SECONDS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
}

/* `path` is a URL, or a reference to one. */
static int open_url(struct remote *remote, const char *path, struct error *error)
{
    char *url = NULL;
    int code = 0;
    if (remote_is_reference(path)) {
        remote->reference = strdup(path);
        code = remote_read_reference(path, &url, error);
    }
    remote->name = remote_name(url != NULL ? url : path);
    remote->curl = curl_easy_init();
    bool made = remote->name != NULL && remote->curl != NULL &&
                (remote->reference != NULL) == remote_is_reference(path);
    if (code == 0 && !made)
        code = error_set(error, -ENOMEM, "out of memory");
    if (code == 0) {
        set_options(remote);
        code = take_url(remote, url != NULL ? url : path, error);
    }
    free(url);
    return code < 0 ? code : fetch(remote, 0, 1, error);
}

int remote_open(const char *url, struct remote **opened, struct error *error)
{
    *opened = NULL;
    struct remote *remote = calloc(1, sizeof *remote);
    if (remote == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    remote->size = -1;
    remote->next = remote->ahead = 1;
    for (int i = 0; i < BLOCKS; i++)
        remote->block[i].number = -1;
    int code = open_url(remote, url, error);
    if (code < 0) {
        remote_close(remote);
        return code;
    }
    *opened = remote;
    return 0;
}

int64_t remote_size(const struct remote *remote)
{
    return remote->size;
}

/* Twice as much as the last time where reading went straight on. */
static int choose_ahead(struct remote *remote, int64_t number)
{
    int64_t blocks = (remote->size + BLOCK - 1) / BLOCK;
    int count = number == remote->next ? 2 * remote->ahead : 1;
    if (count > MOST_AHEAD)
        count = MOST_AHEAD;
    if (count > blocks - number)
        count = (int)(blocks - number);
    for (int i = 1; i < count; i++)
        if (find_block(remote, number + i) != NULL)
            count = i;
    remote->ahead = count;
    remote->next = number + count;
    return count;
}

int remote_read(struct remote *remote, int64_t offset, uint8_t *bytes, int size,
                struct error *error)
{
    if (offset < 0 || size <= 0 || offset >= remote->size)
        return 0;
    int64_t number = offset / BLOCK;
    struct block *block = find_block(remote, number);
    if (block == NULL) {
        int code = fetch(remote, number, choose_ahead(remote, number), error);
        if (code < 0)
            return code;
        block = find_block(remote, number);
    }
    if (block == NULL)
        return error_set(error, -EIO, "cannot read %s", remote->name);
    block->used = ++remote->reads;
    int64_t count = BLOCK - offset % BLOCK;
    if (count > remote->size - offset)
        count = remote->size - offset;
    if (count > size)
        count = size;
    memcpy(bytes, block->bytes + offset % BLOCK, (size_t)count);
    return (int)count;
}

void remote_close(struct remote *remote)
{
    if (remote == NULL)
        return;
    if (remote->curl != NULL)
        curl_easy_cleanup(remote->curl);
    for (int i = 0; i < BLOCKS; i++)
        free(remote->block[i].bytes);
    free(remote->reference);
    free(remote->name);
    free(remote);
}
