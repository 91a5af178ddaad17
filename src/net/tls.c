#include "net/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* AES with 128 bits is the fastest where the processor helps, and more than enough. */
#define CIPHERS "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519:P-256"
#define SIGNATURES "ECDSA+SHA256"

/* More than our certificates have; what a peer may make us hold while it shakes hands. */
enum { CERTIFICATES_MOST = 8192, SERVER_NAME_MOST = 255 };

struct tls_domain {
    SSL_CTX *context;
};

struct tls_server {
    SSL_CTX *context; /* of those who have not said yet which domain they mean */
    tls_lookup *lookup;
    void *opaque;
};

struct tls_client {
    SSL_CTX *context;
};

static int out_of_memory(struct error *error)
{
    ERR_clear_error();
    return error_set(error, -ENOMEM, "out of memory");
}

/* A context with all but certificates. */
static SSL_CTX *new_context(const SSL_METHOD *method)
{
    SSL_CTX *context = SSL_CTX_new(method);
    if (!context)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_max_cert_list(context, CERTIFICATES_MOST);
    if (SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
        SSL_CTX_set_num_tickets(context, 0) == 1 &&
        SSL_CTX_set_ciphersuites(context, CIPHERS) == 1 &&
        SSL_CTX_set1_groups_list(context, GROUPS) == 1 &&
        SSL_CTX_set1_sigalgs_list(context, SIGNATURES) == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

static SSL_CTX *new_context_with(const SSL_METHOD *method, const struct certificate *own,
                                 const struct certificate *authority)
{
    SSL_CTX *context = new_context(method);
    if (context && SSL_CTX_use_certificate(context, own->x509) == 1 &&
        SSL_CTX_use_PrivateKey(context, own->key) == 1 &&
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority->x509) == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

/* ---- servers ------------------------------------------------------------------------------- */

int tls_domain_new(const struct certificate *own, const struct certificate *authority,
                   struct tls_domain **domain, struct error *error)
{
    *domain = NULL;
    if (!own->key)
        return error_set(error, -EINVAL, "the private key of a certificate is missing");
    struct tls_domain *made = calloc(1, sizeof *made);
    if (!made || !(made->context = new_context_with(TLS_server_method(), own, authority))) {
        free(made);
        return out_of_memory(error);
    }
    *domain = made;
    return 0;
}

void tls_domain_free(struct tls_domain *domain)
{
    if (!domain)
        return;
    SSL_CTX_free(domain->context);
    free(domain);
}

/* Called for every client, also for one that names nobody. */
static int on_server_name(SSL *ssl, int *alert, void *opaque)
{
    const struct tls_server *server = opaque;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    struct tls_domain *domain = NULL;
    if (name && strlen(name) <= SERVER_NAME_MOST)
        domain = server->lookup(server->opaque, name);
    if (domain && SSL_set_SSL_CTX(ssl, domain->context))
        return SSL_TLSEXT_ERR_OK;
    *alert = SSL_AD_UNRECOGNIZED_NAME;
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int tls_server_new(tls_lookup *lookup, void *opaque, struct tls_server **server,
                   struct error *error)
{
    *server = NULL;
    struct tls_server *made = calloc(1, sizeof *made);
    if (!made || !(made->context = new_context(TLS_server_method()))) {
        free(made);
        return out_of_memory(error);
    }
    made->lookup = lookup;
    made->opaque = opaque;
    SSL_CTX_set_tlsext_servername_callback(made->context, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(made->context, made);
    *server = made;
    return 0;
}

void tls_server_free(struct tls_server *server)
{
    if (!server)
        return;
    SSL_CTX_free(server->context);
    free(server);
}

SSL *tls_accepting(struct tls_server *server)
{
    SSL *ssl = SSL_new(server->context);
    if (ssl)
        SSL_set_accept_state(ssl);
    return ssl;
}

/* ---- clients ------------------------------------------------------------------------------- */

int tls_client_new(const struct credentials *credentials, struct tls_client **client,
                   struct error *error)
{
    *client = NULL;
    struct tls_client *made = calloc(1, sizeof *made);
    if (!made || !(made->context = new_context_with(TLS_client_method(), credentials->own,
                                                    credentials->authority))) {
        free(made);
        return out_of_memory(error);
    }
    *client = made;
    return 0;
}

void tls_client_free(struct tls_client *client)
{
    if (!client)
        return;
    SSL_CTX_free(client->context);
    free(client);
}

static bool expect_host(SSL *ssl, const char *host)
{
    X509_VERIFY_PARAM *parameters = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return X509_VERIFY_PARAM_set1_ip_asc(parameters, host) == 1 ||
           X509_VERIFY_PARAM_set1_host(parameters, host, 0) == 1;
}

SSL *tls_connecting(struct tls_client *client, const char *server_name, const char *host,
                    const char *identity)
{
    SSL *ssl = SSL_new(client->context);
    if (ssl && SSL_set_tlsext_host_name(ssl, server_name) == 1 &&
        (identity || expect_host(ssl, host))) {
        SSL_set_connect_state(ssl);
        return ssl;
    }
    ERR_clear_error();
    SSL_free(ssl);
    return NULL;
}

/* ---- what went wrong ----------------------------------------------------------------------- */

const char *tls_refusal_name(enum tls_refusal refusal)
{
    static const char *const names[TLS_REFUSALS] = {
        [TLS_NO_CERTIFICATE] = "no certificate",
        [TLS_UNTRUSTED] = "certificate of another authority",
        [TLS_EXPIRED] = "certificate expired",
        [TLS_UNKNOWN_NAME] = "unknown server name",
        [TLS_OLD_VERSION] = "TLS below 1.3",
        [TLS_NOT_TLS] = "not TLS",
        [TLS_NO_IDENTITY] = "wrong identity",
        [TLS_PEER_REFUSED] = "refused by the other side",
        [TLS_GONE] = "gone during the handshake",
        [TLS_TOO_SLOW] = "handshake too slow",
        [TLS_OTHER] = "other",
    };
    return names[refusal];
}

static enum tls_refusal explain_verification(SSL *ssl, struct error *error)
{
    long result = SSL_get_verify_result(ssl);
    bool time = result == X509_V_ERR_CERT_HAS_EXPIRED || result == X509_V_ERR_CERT_NOT_YET_VALID;
    error_set(error, -EACCES, "the other side's certificate is refused: %s",
              X509_verify_cert_error_string(result));
    if (result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH)
        return TLS_NO_IDENTITY;
    return time ? TLS_EXPIRED : TLS_UNTRUSTED;
}

enum tls_refusal tls_explain(SSL *ssl, struct error *error)
{
    /* The first one is the cause, what follows are its consequences. */
    unsigned long first = ERR_get_error();
    int reason = ERR_GET_REASON(first);
    ERR_clear_error();
    if (first == 0 || ERR_GET_LIB(first) != ERR_LIB_SSL) {
        error_set(error, -EPROTO, "TLS failed: %s",
                  first ? ERR_reason_error_string(first) : "no reason given");
        return first ? TLS_NOT_TLS : TLS_OTHER;
    }
    if (reason > SSL_AD_REASON_OFFSET) {
        error_set(error, -EACCES, "the other side refuses: %s", ERR_reason_error_string(first));
        return TLS_PEER_REFUSED;
    }
    switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
        return explain_verification(ssl, error);
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        error_set(error, -EACCES, "the other side has no certificate");
        return TLS_NO_CERTIFICATE;
    case SSL_R_CALLBACK_FAILED: /* ours is the only one that fails */
        error_set(error, -EACCES, "the server name is not known here");
        return TLS_UNKNOWN_NAME;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
        error_set(error, -EPROTONOSUPPORT, "the other side does not speak TLS 1.3");
        return TLS_OLD_VERSION;
    default:
        error_set(error, -EPROTO, "what the other side sent is not sound TLS: %s",
                  ERR_reason_error_string(first));
        return TLS_NOT_TLS;
    }
}

int tls_peer_identity(SSL *ssl, char identity[CERTIFICATE_IDENTITY_SIZE])
{
    const X509 *x509 = SSL_get0_peer_certificate(ssl);
    identity[0] = '\0';
    return x509 ? certificate_identity(x509, identity) : -ENOENT;
}
