/* Removing objects, and uploads that killed writers have begun. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/presign.h"
#include "store/s3_list.h"
#include "store/s3_xml.h"

/* ---- one ----------------------------------------------------------------------------------- */

static void on_deleted(struct s3_call *call, const struct http_response *response)
{
    struct store_operation *operation = call->operation;
    if (call->error.code < 0 && call->error.code != -ENOENT)
        s3_fail(operation, "delete", operation->key, &call->error);
    s3_finish(operation);
}

void s3_delete(struct store_operation *operation)
{
    if (s3_progress_new(operation, sizeof(struct s3_progress)) != NULL &&
        !s3_call_begin(s3_call_new(operation, "DELETE", operation->key, "", on_deleted), operation))
        s3_finish_soon(operation);
}

/* ---- all of a prefix ----------------------------------------------------------------------- */

struct removal {
    struct s3_progress base;
    char prefix[S3_URL_SIZE]; /* in full */
    size_t listed;            /* of the page at hand */
    bool more;
};

static void end_with(struct store_operation *operation, const struct error *why)
{
    if (why != NULL)
        s3_fail(operation, "delete", operation->key, why);
    s3_finish(operation);
}

/* ---- uploads ------------------------------------------------------------------------------- */

static void ask_uploads(struct store_operation *operation);

/* One of them at a time: there are few. */
static void on_upload_removed(struct s3_call *call, const struct http_response *response)
{
    if (call->error.code < 0 && call->error.code != -ENOENT)
        end_with(call->operation, &call->error);
    else
        ask_uploads(call->operation);
}

static void remove_upload(struct store_operation *operation, const char *key, const char *id)
{
    char query[S3_URL_SIZE] = "uploadId=";
    struct s3_call *call = NULL;
    if (aws_url_append(query, sizeof query, id, false))
        call = s3_call_new(operation, "DELETE", key + strlen(s3_of(operation)->prefix), query,
                           on_upload_removed);
    if (!s3_call_begin(call, operation))
        s3_finish(operation);
}

static void on_uploads(struct s3_call *call, const struct http_response *response)
{
    struct store_operation *operation = call->operation;
    char key[S3_XML_TEXT], id[S3_XML_TEXT];
    /* Services that know nothing of them have none. */
    if (call->error.code == -ECANCELED)
        end_with(operation, &call->error);
    else if (call->error.code < 0 ||
             !s3_xml_find(response->body, response->size, "Upload", "Key", key, sizeof key) ||
             !s3_xml_find(response->body, response->size, "Upload", "UploadId", id, sizeof id) ||
             strncmp(key, s3_of(operation)->prefix, strlen(s3_of(operation)->prefix)) != 0)
        end_with(operation, NULL);
    else
        remove_upload(operation, key, id);
}

static void ask_uploads(struct store_operation *operation)
{
    const struct removal *removal = operation->progress;
    char query[S3_URL_SIZE] = "max-uploads=1&prefix=";
    struct s3_call *call = NULL;
    if (aws_url_append(query, sizeof query, removal->prefix, false) &&
        strlen(query) + strlen("&uploads=") < sizeof query)
        call = s3_call_bucket(operation, "GET", strcat(query, "&uploads="), on_uploads);
    if (!s3_call_begin(call, operation))
        s3_finish(operation);
}

/* ---- objects ------------------------------------------------------------------------------- */

static bool ask_page(struct store_operation *operation);

static void write_escaped(FILE *stream, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("<>&\"'", *text) != NULL || (unsigned char)*text < ' ')
            fprintf(stream, "&#%d;", (unsigned char)*text);
        else
            fputc(*text, stream);
    }
}

/* What is to be removed, as the service wants it. */
static bool write_keys(const struct s3_page *page, char **text, size_t *size)
{
    FILE *stream = open_memstream(text, size);
    if (stream == NULL)
        return false;
    fputs("<Delete><Quiet>true</Quiet>", stream);
    for (size_t i = 0; i < page->count; i++) {
        fputs("<Object><Key>", stream);
        write_escaped(stream, page->entries[i].key);
        fputs("</Key></Object>", stream);
    }
    fputs("</Delete>", stream);
    return fclose(stream) == 0;
}

static void on_page_removed(struct s3_call *call, const struct http_response *response)
{
    struct store_operation *operation = call->operation;
    struct removal *removal = operation->progress;
    if (call->error.code == 0)
        s3_explain_body(response, &call->error);
    if (call->error.code < 0) {
        end_with(operation, &call->error);
        return;
    }
    operation->result.count += removal->listed;
    if (!removal->more)
        ask_uploads(operation);
    else if (!ask_page(operation))
        s3_finish(operation);
}

/* The service wants the body's MD5 here, whatever is signed. */
static void add_md5(struct s3_call *call, const char *text, size_t size)
{
    uint8_t md5[EVP_MAX_MD_SIZE];
    char base64[2 * EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!EVP_Digest(text, size, md5, &length, EVP_md5(), NULL))
        return;
    EVP_EncodeBlock((uint8_t *)base64, md5, (int)length);
    s3_call_header(call, "Content-MD5: %s", base64);
}

static void remove_page(struct store_operation *operation, const struct s3_page *page)
{
    char *text = NULL;
    size_t size = 0;
    struct s3_call *call = NULL;
    if (write_keys(page, &text, &size))
        call = s3_call_bucket(operation, "POST", "delete=", on_page_removed);
    if (call != NULL) {
        s3_call_body(call, text, size);
        add_md5(call, text, size);
    }
    free(text);
    if (!s3_call_begin(call, operation))
        s3_finish(operation);
}

static void on_page(struct s3_call *call, const struct http_response *response)
{
    struct store_operation *operation = call->operation;
    struct removal *removal = operation->progress;
    struct s3_page page = {0};
    struct error why = call->error;
    if (why.code == 0) {
        s3_page_read(response, &page);
        if (page.code < 0)
            error_set(&why, page.code, "the service's answer cannot be understood");
    }
    removal->listed = page.count;
    removal->more = page.more;
    if (why.code < 0)
        end_with(operation, &why);
    else if (page.count == 0)
        ask_uploads(operation);
    else
        remove_page(operation, &page);
    s3_page_free(&page);
}

/* Always the first one: those before it are gone. */
static bool ask_page(struct store_operation *operation)
{
    const struct removal *removal = operation->progress;
    return s3_page_ask(operation, removal->prefix, "", STORE_PAGE, on_page);
}

void s3_delete_prefix(struct store_operation *operation)
{
    struct removal *removal = s3_progress_new(operation, sizeof *removal);
    if (removal == NULL)
        return;
    snprintf(removal->prefix, sizeof removal->prefix, "%s%s", s3_of(operation)->prefix,
             operation->key);
    if (!ask_page(operation))
        s3_finish_soon(operation);
}
