/*
 * Certificates for TLS: EC P-256 keys, signed by an authority of our own. Who the holder is stands in
 * one URI among the subject's alternative names, its identity, as in
 * "excamera:job/7/worker/12"; names and addresses of hosts may stand beside it.
 */
#ifndef NET_CERTIFICATE_H
#define NET_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "util/error.h"

/* A certificate, with its private key where that is ours. Never changed once made. */
struct certificate {
    X509 *x509;
    EVP_PKEY *key; /* NULL where only the certificate is known */
};

/* What the holder may be in a handshake. */
enum certificate_use { CERTIFICATE_SERVER = 1, CERTIFICATE_CLIENT = 2 };

/* Longest identity, with its end. */
#define CERTIFICATE_IDENTITY_SIZE 256

struct certificate_subject {
    const char *name;         /* for people to read; 1 to 64 bytes */
    const char *identity;     /* the URI; NULL for none */
    const char *const *hosts; /* names and IP addresses, the last followed by NULL; NULL for none */
    unsigned use;             /* of certificate_use */
    time_t from, until;       /* when it is valid */
};

/* Makes an authority: a key and a certificate that signs others (subject's identity, hosts and use
 * do not count). -EINVAL for a subject that cannot be, -ENOMEM. */
int certificate_make_authority(const struct certificate_subject *subject,
                               struct certificate **authority, struct error *error);
/* Makes a key and a certificate for it, signed by `authority`, whose key must be there. */
int certificate_issue(const struct certificate *authority,
                      const struct certificate_subject *subject, struct certificate **certificate,
                      struct error *error);
/* The same certificate once more, without its key; NULL when out of memory. */
struct certificate *certificate_share(const struct certificate *certificate);
/* NULL is allowed. */
void certificate_free(struct certificate *certificate);

/* The identity in a certificate: the only URI among its alternative names. -ENOENT where there is
 * none, -EINVAL where there are several or it is none that we would have made. */
int certificate_identity(const X509 *x509, char identity[CERTIFICATE_IDENTITY_SIZE]);

/*
 * What one side of a connection needs: who it is, and the authority that the other side's certificate
 * must come from. As text (PEM) that is the private key, its certificate and the authority's
 * certificate, one after the other; without a key it is an authority of which only the certificate is
 * known.
 */
struct credentials {
    struct certificate *own;       /* with its key */
    struct certificate *authority; /* of the other side; the key is usually not there */
};

/* The text of `credentials`, ended by a zero; forget it with certificate_forget. */
int credentials_write(const struct credentials *credentials, char **pem, struct error *error);
/* -EBADMSG where the text is not what credentials_write makes, or key and certificate do not belong
 * together. */
int credentials_read(const char *pem, size_t size, struct credentials *credentials,
                     struct error *error);
/* To and from a file which nobody but its owner may read. Saving fails with -EEXIST rather than
 * overwrite. */
int credentials_save(const struct credentials *credentials, const char *path, struct error *error);
int credentials_load(const char *path, struct credentials *credentials, struct error *error);
/* Frees what they hold, and leaves them empty. */
void credentials_release(struct credentials *credentials);

/* The text of a certificate, with its key before it if `with_key`. */
int certificate_write(const struct certificate *certificate, bool with_key, char **pem,
                      struct error *error);
/* Reads a certificate, with its key if one is there. -EBADMSG. */
int certificate_read(const char *pem, size_t size, struct certificate **certificate,
                     struct error *error);
/* To a file of mode 0600. -EEXIST. */
int certificate_save(const struct certificate *certificate, const char *path, struct error *error);

/* Overwrites and frees a text that held a key. NULL is allowed. */
void certificate_forget(char *pem);

#endif
