/* Listing objects, a page at a time. */
#include "store/s3_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/presign.h"
#include "store/s3_xml.h"

#define ANSWER_LIMIT (8u << 20) /* bytes: 1,000 keys, each with all that is said of it */

/* ---- pages of the bucket ------------------------------------------------------------------- */

bool s3_page_ask(struct store_operation *operation, const char *prefix, const char *after,
                 size_t limit, s3_called *done)
{
    char query[S3_URL_SIZE];
    struct s3_call *call = NULL;
    snprintf(query, sizeof query, "list-type=2&max-keys=%zu&prefix=", limit);
    bool fits = aws_url_append(query, sizeof query, prefix, false);
    if (fits && after[0] != '\0')
        fits = strlen(query) + strlen("&start-after=") < sizeof query &&
               aws_url_append(strcat(query, "&start-after="), sizeof query, after, false);
    if (fits)
        call = s3_call_bucket(operation, "GET", query, done);
    if (call != NULL)
        call->request.limit = ANSWER_LIMIT;
    return s3_call_begin(call, operation);
}

struct reading {
    struct s3_page *page;
    char key[S3_XML_TEXT];
    uint64_t size;
};

static bool add(struct s3_page *page, const char *key, uint64_t size)
{
    if (page->count % 64 == 0) {
        struct store_entry *entries =
            realloc(page->entries, (page->count + 64) * sizeof *page->entries);
        if (entries == NULL)
            return false;
        page->entries = entries;
    }
    page->entries[page->count] = (struct store_entry){strdup(key), size};
    return page->entries[page->count++].key != NULL;
}

static bool on_element(void *opaque, const char *parent, const char *name, const char *text)
{
    struct reading *reading = opaque;
    if (strcmp(name, "IsTruncated") == 0)
        reading->page->more = strcmp(text, "true") == 0;
    if (strcmp(name, "Contents") == 0)
        return add(reading->page, reading->key, reading->size);
    if (strcmp(parent, "Contents") != 0)
        return true;
    if (strcmp(name, "Key") == 0)
        snprintf(reading->key, sizeof reading->key, "%s", text);
    if (strcmp(name, "Size") == 0)
        reading->size = strtoull(text, NULL, 10);
    return true;
}

void s3_page_read(const struct http_response *response, struct s3_page *page)
{
    struct reading reading = {.page = page};
    *page = (struct s3_page){0};
    page->code = s3_xml_read(response->body, response->size, on_element, &reading);
    if (page->code == -ECANCELED)
        page->code = -ENOMEM;
}

void s3_page_free(struct s3_page *page)
{
    for (size_t i = 0; i < page->count; i++)
        free(page->entries[i].key);
    free(page->entries);
}

/* ---- the operation ------------------------------------------------------------------------- */

struct list_progress {
    struct s3_progress base;
    char prefix[S3_URL_SIZE], after[S3_XML_TEXT]; /* in full; after: "" for none */
};

static bool ask(struct store_operation *operation);

static void fail(struct store_operation *operation, const struct error *why)
{
    s3_fail(operation, "list", operation->key[0] != '\0' ? operation->key : "all", why);
}

/* Keeps what is a key of the store, up to one beyond the limit. */
static void keep(struct store_operation *operation, const struct s3_page *page)
{
    struct store_result *result = &operation->result;
    size_t own = strlen(s3_of(operation)->prefix);
    for (size_t i = 0; i < page->count && result->error.code == 0; i++) {
        const struct store_entry *entry = &page->entries[i];
        if (strlen(entry->key) < own || !store_is_key(entry->key + own))
            continue;
        if (result->count == operation->limit) {
            result->more = true;
            return;
        }
        char *key = strdup(entry->key + own);
        if (key == NULL)
            error_set(&result->error, -ENOMEM, "out of memory");
        else
            result->entries[result->count++] = (struct store_entry){key, entry->size};
    }
}

static void on_page(struct s3_call *call, const struct http_response *response)
{
    struct store_operation *operation = call->operation;
    struct s3_page page = {0};
    struct error why = call->error;
    if (why.code == 0) {
        s3_page_read(response, &page);
        if (page.code < 0)
            error_set(&why, page.code, "the service's answer cannot be understood");
    }
    if (why.code < 0)
        fail(operation, &why);
    else
        keep(operation, &page);
    struct list_progress *progress = operation->progress;
    bool on =
        operation->result.error.code == 0 && !operation->result.more && page.more && page.count > 0;
    if (on)
        snprintf(progress->after, sizeof progress->after, "%s", page.entries[page.count - 1].key);
    s3_page_free(&page);
    if (!on || !ask(operation))
        s3_finish(operation);
}

static bool ask(struct store_operation *operation)
{
    const struct list_progress *progress = operation->progress;
    /* One more than is wanted says whether there are more. */
    size_t wanted = operation->limit - operation->result.count + 1;
    return s3_page_ask(operation, progress->prefix, progress->after,
                       wanted < STORE_PAGE ? wanted : STORE_PAGE, on_page);
}

void s3_list(struct store_operation *operation)
{
    const char *own = s3_of(operation)->prefix;
    struct list_progress *progress = s3_progress_new(operation, sizeof *progress);
    if (progress == NULL)
        return;
    snprintf(progress->prefix, sizeof progress->prefix, "%s%s", own, operation->key);
    if (operation->attempt[0] != '\0')
        snprintf(progress->after, sizeof progress->after, "%s%s", own, operation->attempt);
    operation->result.entries = calloc(operation->limit, sizeof *operation->result.entries);
    if (operation->result.entries == NULL)
        error_set(&operation->result.error, -ENOMEM, "out of memory");
    if (operation->result.entries == NULL || !ask(operation))
        s3_finish_soon(operation);
}
