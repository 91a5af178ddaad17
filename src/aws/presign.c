#include "aws/presign.h"

#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/sha256.h"

enum {
    STAMP_SIZE = 17, /* YYYYMMDDTHHMMSSZ */
    DATE_LENGTH = 8, /* of it */
    SCOPE_SIZE = 256,
};

/* A text that grows; `failed` once there was no memory. */
struct text {
    char *bytes;
    size_t size;
    FILE *stream;
};

static bool text_open(struct text *text)
{
    text->bytes = NULL;
    text->stream = open_memstream(&text->bytes, &text->size);
    return text->stream != NULL;
}

/* False where out of memory; the bytes are to be freed in any case. */
static bool text_close(struct text *text)
{
    bool good = !ferror(text->stream);
    return fclose(text->stream) == 0 && good;
}

static bool is_plain(char byte)
{
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || (byte != '\0' && strchr("-._~", byte) != NULL);
}

bool aws_url_append(char *to, size_t size, const char *text, bool path)
{
    size_t length = strlen(to);
    for (; *text != '\0'; text++) {
        bool plain = is_plain(*text) || (path && *text == '/');
        if (length + (plain ? 1 : 3) >= size)
            return false;
        if (plain)
            to[length++] = *text;
        else
            length += (size_t)sprintf(to + length, "%%%02X", (unsigned char)*text);
    }
    to[length] = '\0';
    return true;
}

static void write_encoded(FILE *stream, const char *text)
{
    for (; *text != '\0'; text++)
        if (is_plain(*text))
            fputc(*text, stream);
        else
            fprintf(stream, "%%%02X", (unsigned char)*text);
}

static void write_header_names(FILE *stream, const struct aws_presign *presign,
                               const char *separator)
{
    bool host = false;
    const char *before = "";
    for (size_t i = 0; i <= presign->header_count; i++) {
        bool last = i == presign->header_count;
        if (!host && (last || strcmp(presign->headers[i].name, "host") > 0)) {
            fprintf(stream, "%shost", before);
            before = separator;
            host = true;
        }
        if (!last)
            fprintf(stream, "%s%s", before, presign->headers[i].name);
        before = separator;
    }
}

static void write_headers(FILE *stream, const struct aws_presign *presign, const char *host,
                          int host_length)
{
    bool done = false;
    for (size_t i = 0; i <= presign->header_count; i++) {
        bool last = i == presign->header_count;
        if (!done && (last || strcmp(presign->headers[i].name, "host") > 0)) {
            fprintf(stream, "host:%.*s\n", host_length, host);
            done = true;
        }
        if (!last)
            fprintf(stream, "%s:%s\n", presign->headers[i].name, presign->headers[i].value);
    }
}

/* All but the signature, sorted by name. */
static void write_query(FILE *stream, const struct aws_presign *presign, const char *stamp,
                        const char *scope)
{
    const struct aws_credentials *credentials = presign->credentials;
    fprintf(stream, "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=");
    write_encoded(stream, credentials->access_key);
    write_encoded(stream, "/");
    write_encoded(stream, scope);
    fprintf(stream, "&X-Amz-Date=%s&X-Amz-Expires=%u", stamp, presign->seconds);
    if (credentials->session_token != NULL) {
        fprintf(stream, "&X-Amz-Security-Token=");
        write_encoded(stream, credentials->session_token);
    }
    fprintf(stream, "&X-Amz-SignedHeaders=");
    write_header_names(stream, presign, "%3B");
    if (presign->query != NULL && presign->query[0] != '\0')
        fprintf(stream, "&%s", presign->query);
}

static bool canonical_sum(const struct aws_presign *presign, const char *host, const char *query,
                          char hex[SHA256_HEX_SIZE])
{
    struct text request;
    uint8_t sum[SHA256_SIZE];
    size_t host_length = strcspn(host, "/");
    const char *path = host + host_length;
    if (!text_open(&request))
        return false;
    fprintf(request.stream, "%s\n%s\n%s\n", presign->method, *path != '\0' ? path : "/", query);
    write_headers(request.stream, presign, host, (int)host_length);
    fputc('\n', request.stream);
    write_header_names(request.stream, presign, ";");
    fprintf(request.stream, "\nUNSIGNED-PAYLOAD");
    bool good = text_close(&request) && sha256_of(request.bytes, request.size, sum) == 0;
    free(request.bytes);
    if (good)
        sha256_hex(sum, hex);
    return good;
}

static bool hmac(uint8_t key[SHA256_SIZE], const char *text)
{
    unsigned size = SHA256_SIZE;
    uint8_t result[SHA256_SIZE];
    if (HMAC(EVP_sha256(), key, SHA256_SIZE, (const uint8_t *)text, strlen(text), result, &size) ==
        NULL)
        return false;
    memcpy(key, result, SHA256_SIZE);
    return true;
}

/* The key of a day, region and service, and with it the text's signature. */
static bool sign(const struct aws_presign *presign, const char *stamp, const char *text,
                 char hex[SHA256_HEX_SIZE])
{
    char *secret = NULL, date[DATE_LENGTH + 1];
    uint8_t key[SHA256_SIZE];
    unsigned size = SHA256_SIZE;
    snprintf(date, sizeof date, "%.*s", DATE_LENGTH, stamp);
    if (asprintf(&secret, "AWS4%s", presign->credentials->secret_key) < 0)
        return false;
    bool good = HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)date, DATE_LENGTH,
                     key, &size) != NULL &&
                hmac(key, presign->region) && hmac(key, presign->service) &&
                hmac(key, "aws4_request") && hmac(key, text);
    explicit_bzero(secret, strlen(secret));
    free(secret);
    if (good)
        sha256_hex(key, hex);
    explicit_bzero(key, sizeof key);
    return good;
}

char *aws_presign(const struct aws_presign *presign)
{
    char stamp[STAMP_SIZE], scope[SCOPE_SIZE], hex[SHA256_HEX_SIZE], *url = NULL, *to_sign = NULL;
    const char *host = strstr(presign->url, "://");
    struct tm tm;
    struct text query;
    if (host == NULL || gmtime_r(&presign->now, &tm) == NULL || !text_open(&query))
        return NULL;
    host += strlen("://");
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    snprintf(scope, sizeof scope, "%.*s/%s/%s/aws4_request", DATE_LENGTH, stamp, presign->region,
             presign->service);
    write_query(query.stream, presign, stamp, scope);
    if (text_close(&query) && canonical_sum(presign, host, query.bytes, hex) &&
        asprintf(&to_sign, "AWS4-HMAC-SHA256\n%s\n%s\n%s", stamp, scope, hex) > 0 &&
        sign(presign, stamp, to_sign, hex) &&
        asprintf(&url, "%s?%s&X-Amz-Signature=%s", presign->url, query.bytes, hex) < 0)
        url = NULL;
    free(to_sign);
    free(query.bytes);
    return url;
}
