/*
 * What TLS connections are made with: version 1.3 only, certificates on both sides, no session
 * tickets (a resumed session would not look at the certificate again, and those who dial do it once).
 *
 * A server serves several domains, each with an authority of its own that the clients' certificates
 * must come from: the deployment's, and one a job. The client says by server name which it means; a
 * name that is not known is refused.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/certificate.h"
#include "util/error.h"

/* Why a handshake failed. */
enum tls_refusal {
    TLS_NO_CERTIFICATE, /* the client has none */
    TLS_UNTRUSTED,      /* the certificate comes from another authority, or is not for this use */
    TLS_EXPIRED,        /* it is not valid any more, or not yet */
    TLS_UNKNOWN_NAME,   /* no domain has the server name, or none was said */
    TLS_OLD_VERSION,    /* below TLS 1.3 */
    TLS_NOT_TLS,        /* what came breaks the protocol, or is another one */
    TLS_NO_IDENTITY,    /* a certificate without identity, or not the one that was wanted */
    TLS_PEER_REFUSED,   /* the other side said that it will not */
    TLS_GONE,           /* the connection ended before the handshake did */
    TLS_TOO_SLOW,       /* the time limit of the handshake, or pushed out by many others */
    TLS_OTHER,
    TLS_REFUSALS
};

/* In a few words, as "certificate expired". */
const char *tls_refusal_name(enum tls_refusal refusal);

/* Who may come in, and as whom they are met. */
struct tls_domain;

/* A domain in which the server shows `own` and its clients must come from `authority`. Both are
 * shared, and stay the caller's. */
int tls_domain_new(const struct certificate *own, const struct certificate *authority,
                   struct tls_domain **domain, struct error *error);
/* Connections that were made keep what they need. NULL is allowed. */
void tls_domain_free(struct tls_domain *domain);

/* The domain of this name, which stays its owner's, or NULL to refuse. `name` is what the client
 * said: at most 255 bytes without zeros, but nothing else is sure. */
typedef struct tls_domain *tls_lookup(void *opaque, const char *name);

struct tls_server;

int tls_server_new(tls_lookup *lookup, void *opaque, struct tls_server **server,
                   struct error *error);
/* Not while a listener uses it. NULL is allowed. */
void tls_server_free(struct tls_server *server);

/* What dials with one set of credentials. */
struct tls_client;

int tls_client_new(const struct credentials *credentials, struct tls_client **client,
                   struct error *error);
/* Connections that were begun keep what they need. NULL is allowed. */
void tls_client_free(struct tls_client *client);

/* ---- for streams --------------------------------------------------------------------------- */

/* A session of the server's side, NULL when out of memory. */
SSL *tls_accepting(struct tls_server *server);

/* A session of the client's side that names `server_name`. Where `identity` is NULL, the server's
 * certificate must name `host` (a name or an IP address). NULL when out of memory. */
SSL *tls_connecting(struct tls_client *client, const char *server_name, const char *host,
                    const char *identity);

/* Looks at why the last call for `ssl` failed, with OpenSSL's queue of errors as the call left it (and
 * empties it). Fills `error` with a code and a sentence. */
enum tls_refusal tls_explain(SSL *ssl, struct error *error);

/* The identity in the other side's certificate; codes as those of certificate_identity. */
int tls_peer_identity(SSL *ssl, char identity[CERTIFICATE_IDENTITY_SIZE]);

#endif
