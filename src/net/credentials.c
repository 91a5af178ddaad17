/* Certificates and keys as text and in files. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "net/certificate.h"
#include "util/output.h"

/* Ours have a tenth of it. */
enum { FILE_MOST = 65536 };

void certificate_forget(char *pem)
{
    if (!pem)
        return;
    OPENSSL_cleanse(pem, strlen(pem));
    free(pem);
}

/* ---- writing ------------------------------------------------------------------------------- */

static bool write_certificate(BIO *bio, const struct certificate *certificate, bool with_key)
{
    if (with_key && PEM_write_bio_PrivateKey(bio, certificate->key, NULL, NULL, 0, NULL, NULL) != 1)
        return false;
    return PEM_write_bio_X509(bio, certificate->x509) == 1;
}

/* Takes what was written out of `bio`, unless `sound` is false, and frees it. */
static int finish_text(BIO *bio, bool sound, char **pem, struct error *error)
{
    char *bytes;
    long size = sound ? BIO_get_mem_data(bio, &bytes) : 0;
    *pem = size > 0 ? strndup(bytes, (size_t)size) : NULL;
    if (size > 0)
        OPENSSL_cleanse(bytes, (size_t)size);
    BIO_free(bio);
    ERR_clear_error();
    return *pem ? 0 : error_set(error, -ENOMEM, "out of memory");
}

int certificate_write(const struct certificate *certificate, bool with_key, char **pem,
                      struct error *error)
{
    BIO *bio = BIO_new(BIO_s_mem());
    return finish_text(bio, bio && write_certificate(bio, certificate, with_key), pem, error);
}

int credentials_write(const struct credentials *credentials, char **pem, struct error *error)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool sound = bio && write_certificate(bio, credentials->own, true) &&
                 write_certificate(bio, credentials->authority, false);
    return finish_text(bio, sound, pem, error);
}

/* Writes `pem` and forgets it. */
static int save(char *pem, const char *path, struct error *error)
{
    struct output *output;
    int result = output_open_private(path, false, &output, error);
    if (result == 0) {
        /* A failure stays in the stream's flag, which committing looks at. */
        fputs(pem, output_stream(output));
        result = output_commit(output, error);
    }
    certificate_forget(pem);
    return result;
}

int certificate_save(const struct certificate *certificate, const char *path, struct error *error)
{
    char *pem;
    int result = certificate_write(certificate, certificate->key != NULL, &pem, error);
    return result < 0 ? result : save(pem, path, error);
}

int credentials_save(const struct credentials *credentials, const char *path, struct error *error)
{
    char *pem;
    int result = credentials_write(credentials, &pem, error);
    return result < 0 ? result : save(pem, path, error);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Nobody is asked for a password. */
static int no_password(char *buffer, int size, int writing, void *opaque)
{
    return -1;
}

/* Reads the key, if `text` begins with one, and the certificate behind it. */
static struct certificate *read_next(BIO *bio, bool with_key)
{
    struct certificate *read = calloc(1, sizeof *read);
    if (!read)
        return NULL;
    if (with_key)
        read->key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    if (!with_key || read->key)
        read->x509 = PEM_read_bio_X509(bio, NULL, no_password, NULL);
    bool sound = read->x509 && (!read->key || X509_check_private_key(read->x509, read->key) == 1);
    ERR_clear_error();
    if (sound)
        return read;
    certificate_free(read);
    return NULL;
}

static bool holds_key(const char *pem, size_t size)
{
    return memmem(pem, size, "PRIVATE KEY-----", strlen("PRIVATE KEY-----")) != NULL;
}

int certificate_read(const char *pem, size_t size, struct certificate **certificate,
                     struct error *error)
{
    *certificate = NULL;
    BIO *bio = size <= FILE_MOST ? BIO_new_mem_buf(pem, (int)size) : NULL;
    if (bio)
        *certificate = read_next(bio, holds_key(pem, size));
    BIO_free(bio);
    return *certificate ? 0
                        : error_set(error, -EBADMSG, "there is no certificate that can be used");
}

int credentials_read(const char *pem, size_t size, struct credentials *credentials,
                     struct error *error)
{
    *credentials = (struct credentials){0};
    BIO *bio = size <= FILE_MOST ? BIO_new_mem_buf(pem, (int)size) : NULL;
    if (bio && (credentials->own = read_next(bio, true)))
        credentials->authority = read_next(bio, false);
    BIO_free(bio);
    if (credentials->authority)
        return 0;
    credentials_release(credentials);
    return error_set(error, -EBADMSG,
                     "these are not a private key, its certificate and that of an authority");
}

int credentials_load(const char *path, struct credentials *credentials, struct error *error)
{
    char text[FILE_MOST];
    *credentials = (struct credentials){0};
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    setvbuf(file, NULL, _IONBF, 0); /* so that no copy of the key is left behind */
    size_t size = fread(text, 1, sizeof text, file);
    int result = ferror(file) ? error_set(error, -EIO, "cannot be read")
                              : credentials_read(text, size, credentials, error);
    fclose(file);
    OPENSSL_cleanse(text, sizeof text);
    return result < 0 ? error_prefix(error, "%s", path) : 0;
}

void credentials_release(struct credentials *credentials)
{
    certificate_free(credentials->own);
    certificate_free(credentials->authority);
    *credentials = (struct credentials){0};
}
