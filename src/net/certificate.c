#include "net/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

/* X.509 numbers its versions from 0. */
enum { VERSION_3 = 2 };

enum { NAME_MOST = 64, HOST_MOST = 253, SERIAL_BYTES = 16 };

static int library_failed(struct error *error, const char *what)
{
    ERR_clear_error();
    return error_set(error, -ENOMEM, "cannot make a certificate: %s failed", what);
}

/* Printable ASCII without spaces, and not so long that a reader would refuse it. */
static bool identity_is_sound(const char *identity, size_t size)
{
    if (size == 0 || size >= CERTIFICATE_IDENTITY_SIZE)
        return false;
    for (size_t i = 0; i < size; i++)
        if (identity[i] <= ' ' || identity[i] > '~')
            return false;
    return true;
}

static bool host_is_sound(const char *host)
{
    size_t size = strlen(host);
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    return size > 0 && size <= HOST_MOST && strspn(host, allowed) == size && host[0] != '.';
}

static bool is_address(const char *host)
{
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

static int check_subject(const struct certificate_subject *subject, struct error *error)
{
    size_t size = strlen(subject->name);
    if (size == 0 || size > NAME_MOST)
        return error_set(error, -EINVAL, "a certificate's name has 1 to %d bytes", NAME_MOST);
    if (subject->identity && !identity_is_sound(subject->identity, strlen(subject->identity)))
        return error_set(error, -EINVAL, "'%s' cannot be the identity of a certificate",
                         subject->identity);
    for (int i = 0; subject->hosts && subject->hosts[i]; i++)
        if (!is_address(subject->hosts[i]) && !host_is_sound(subject->hosts[i]))
            return error_set(error, -EINVAL, "'%s' is no name or address of a host",
                             subject->hosts[i]);
    if (subject->from >= subject->until)
        return error_set(error, -EINVAL, "a certificate cannot end before it begins");
    return 0;
}

static bool add_extension(X509 *x509, X509V3_CTX *context, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, kind, value);
    bool added = extension && X509_add_ext(x509, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

/* ---- alternative names --------------------------------------------------------------------- */

static bool add_name(GENERAL_NAMES *names, int kind, int string_kind, const void *bytes, int size)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *string = ASN1_STRING_type_new(string_kind);
    if (!name || !string || ASN1_STRING_set(string, bytes, size) != 1) {
        GENERAL_NAME_free(name);
        ASN1_STRING_free(string);
        return false;
    }
    GENERAL_NAME_set0_value(name, kind, string);
    if (sk_GENERAL_NAME_push(names, name) > 0)
        return true;
    GENERAL_NAME_free(name);
    return false;
}

static bool add_host(GENERAL_NAMES *names, const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, host, address) == 1)
        return add_name(names, GEN_IPADD, V_ASN1_OCTET_STRING, address, 4);
    if (inet_pton(AF_INET6, host, address) == 1)
        return add_name(names, GEN_IPADD, V_ASN1_OCTET_STRING, address, 16);
    return add_name(names, GEN_DNS, V_ASN1_IA5STRING, host, (int)strlen(host));
}

static bool add_alternative_names(X509 *x509, const struct certificate_subject *subject)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    const char *identity = subject->identity;
    bool sound = names && (!identity || add_name(names, GEN_URI, V_ASN1_IA5STRING, identity,
                                                 (int)strlen(identity)));
    for (int i = 0; sound && subject->hosts && subject->hosts[i]; i++)
        sound = add_host(names, subject->hosts[i]);
    if (sound && sk_GENERAL_NAME_num(names) > 0)
        sound = X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
    sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
    return sound;
}

/* ---- making -------------------------------------------------------------------------------- */

static bool set_serial(X509 *x509)
{
    unsigned char bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, and of one length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool set = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x509));
    BN_free(number);
    return set;
}

static bool set_subject(X509 *x509, const struct certificate_subject *subject)
{
    X509_NAME *name = X509_get_subject_name(x509);
    return X509_set_version(x509, VERSION_3) == 1 && set_serial(x509) &&
           X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                      (const unsigned char *)subject->name, -1, -1, 0) == 1 &&
           ASN1_TIME_set(X509_getm_notBefore(x509), subject->from) &&
           ASN1_TIME_set(X509_getm_notAfter(x509), subject->until);
}

static bool add_authority_extensions(X509 *x509, X509V3_CTX *context)
{
    return add_extension(x509, context, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           add_extension(x509, context, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           add_extension(x509, context, NID_subject_key_identifier, "hash");
}

static bool add_leaf_extensions(X509 *x509, X509V3_CTX *context,
                                const struct certificate_subject *subject)
{
    static const char *const uses[] = {"serverAuth", "serverAuth", "clientAuth",
                                       "serverAuth,clientAuth"};
    return add_extension(x509, context, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(x509, context, NID_key_usage, "critical,digitalSignature") &&
           add_extension(x509, context, NID_ext_key_usage, uses[subject->use & 3]) &&
           add_extension(x509, context, NID_subject_key_identifier, "hash") &&
           add_extension(x509, context, NID_authority_key_identifier, "keyid:always") &&
           add_alternative_names(x509, subject);
}

/* `authority` is NULL for a certificate that signs itself. */
static bool fill(struct certificate *made, const struct certificate *authority,
                 const struct certificate_subject *subject)
{
    const struct certificate *issuer = authority ? authority : made;
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer->x509, made->x509, NULL, NULL, 0);
    return set_subject(made->x509, subject) && X509_set_pubkey(made->x509, made->key) == 1 &&
           X509_set_issuer_name(made->x509, X509_get_subject_name(issuer->x509)) == 1 &&
           (authority ? add_leaf_extensions(made->x509, &context, subject)
                      : add_authority_extensions(made->x509, &context)) &&
           X509_sign(made->x509, issuer->key, EVP_sha256()) > 0;
}

static int make(const struct certificate *authority, const struct certificate_subject *subject,
                struct certificate **certificate, struct error *error)
{
    *certificate = NULL;
    int result = check_subject(subject, error);
    if (result < 0)
        return result;
    struct certificate *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(error, -ENOMEM, "out of memory");
    made->key = EVP_EC_gen("P-256");
    made->x509 = X509_new();
    if (!made->key || !made->x509 || !fill(made, authority, subject)) {
        certificate_free(made);
        return library_failed(error, "OpenSSL");
    }
    *certificate = made;
    return 0;
}

int certificate_make_authority(const struct certificate_subject *subject,
                               struct certificate **authority, struct error *error)
{
    return make(NULL, subject, authority, error);
}

int certificate_issue(const struct certificate *authority,
                      const struct certificate_subject *subject, struct certificate **certificate,
                      struct error *error)
{
    *certificate = NULL;
    if (!authority->key)
        return error_set(error, -EINVAL, "the authority's private key is not here");
    return make(authority, subject, certificate, error);
}

struct certificate *certificate_share(const struct certificate *certificate)
{
    struct certificate *shared = calloc(1, sizeof *shared);
    if (!shared)
        return NULL;
    X509_up_ref(certificate->x509);
    shared->x509 = certificate->x509;
    return shared;
}

void certificate_free(struct certificate *certificate)
{
    if (!certificate)
        return;
    X509_free(certificate->x509);
    EVP_PKEY_free(certificate->key);
    free(certificate);
}

/* ---- reading who it is --------------------------------------------------------------------- */

static int take_identity(const ASN1_STRING *string, char identity[CERTIFICATE_IDENTITY_SIZE])
{
    const char *bytes = (const char *)ASN1_STRING_get0_data(string);
    int size = ASN1_STRING_length(string);
    if (size < 0 || !identity_is_sound(bytes, (size_t)size))
        return -EINVAL;
    memcpy(identity, bytes, (size_t)size);
    identity[size] = '\0';
    return 0;
}

int certificate_identity(const X509 *x509, char identity[CERTIFICATE_IDENTITY_SIZE])
{
    int result = -ENOENT;
    identity[0] = '\0';
    GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
        int kind;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
        if (kind != GEN_URI)
            continue;
        result = result == -ENOENT ? take_identity(value, identity) : -EINVAL;
    }
    GENERAL_NAMES_free(names);
    if (result < 0)
        identity[0] = '\0';
    return result;
}
