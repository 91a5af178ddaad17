/* Certificates: made, written, read, and told apart. */
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net_support.h"

static struct certificate *leaf(const char *identity)
{
    return client_certificate(deployment()->authority, identity, -10, 1000);
}

static void identity_comes_back(void **state)
{
    char identity[CERTIFICATE_IDENTITY_SIZE];
    struct certificate *made = leaf(CLIENT_IDENTITY);
    assert_int_equal(certificate_identity(made->x509, identity), 0);
    assert_string_equal(identity, CLIENT_IDENTITY);
    certificate_free(made);
    made = leaf(NULL);
    assert_int_equal(certificate_identity(made->x509, identity), -ENOENT);
    assert_string_equal(identity, "");
    certificate_free(made);
}

static void longest_identity(void **state)
{
    char identity[CERTIFICATE_IDENTITY_SIZE], found[CERTIFICATE_IDENTITY_SIZE];
    memset(identity, 'i', sizeof identity);
    identity[sizeof identity - 1] = '\0';
    struct certificate *made = leaf(identity);
    assert_int_equal(certificate_identity(made->x509, found), 0);
    assert_string_equal(found, identity);
    certificate_free(made);
}

/* One that OpenSSL could make, and we would not. */
static void foreign_identities_are_refused(void **state)
{
    static const char *const names[] = {"URI:excamera:a,URI:excamera:b", "URI:two words",
                                        "URI:\xc3\xa9"};
    char identity[CERTIFICATE_IDENTITY_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        X509 *x509 = X509_new();
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names[i]);
        assert_non_null(extension);
        X509_add_ext(x509, extension, -1);
        assert_int_equal(certificate_identity(x509, identity), -EINVAL);
        assert_string_equal(identity, "");
        X509_EXTENSION_free(extension);
        X509_free(x509);
    }
}

static void hosts_are_named(void **state)
{
    const X509 *server = deployment()->server.own->x509;
    assert_int_equal(X509_check_host((X509 *)server, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host((X509 *)server, "elsewhere", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc((X509 *)server, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc((X509 *)server, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc((X509 *)server, "127.0.0.2", 0), 0);
}

static void wrong_subject(const struct certificate_subject *subject)
{
    struct error error = {0};
    struct certificate *made;
    assert_int_equal(certificate_issue(deployment()->authority, subject, &made, &error), -EINVAL);
    assert_null(made);
    assert_true(strlen(error.message) > 10);
}

static void wrong_subjects(void **state)
{
    char name[66];
    const char *hosts[] = {"localhost", "two words", NULL};
    memset(name, 'n', 65);
    name[65] = '\0';
    wrong_subject(&(struct certificate_subject){.name = "", .until = 1});
    wrong_subject(&(struct certificate_subject){.name = name, .until = 1});
    wrong_subject(&(struct certificate_subject){.name = "n", .identity = "", .until = 1});
    wrong_subject(&(struct certificate_subject){.name = "n", .identity = "a b", .until = 1});
    wrong_subject(&(struct certificate_subject){.name = "n", .hosts = hosts, .until = 1});
    hosts[1] = "*.example.com";
    wrong_subject(&(struct certificate_subject){.name = "n", .hosts = hosts, .until = 1});
    wrong_subject(&(struct certificate_subject){.name = "n", .from = 5, .until = 5});
}

static void only_a_key_signs(void **state)
{
    struct error error;
    struct certificate *made;
    time_t now = time(NULL);
    const struct certificate_subject subject = {.name = "n", .from = now, .until = now + 1};
    assert_int_equal(certificate_issue(deployment()->client.authority, &subject, &made, &error),
                     -EINVAL);
    assert_non_null(strstr(error.message, "key"));
}

/* ---- text and files ------------------------------------------------------------------------ */

static char folder[] = "/tmp/excamera-test-XXXXXX";
static char path[100];

static int make_folder(void **state)
{
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/file.pem", folder);
    return 0;
}

static int remove_folder(void **state)
{
    unlink(path);
    return rmdir(folder);
}

static void credentials_come_back(void **state)
{
    struct error error;
    struct credentials read;
    char *once, *twice;
    assert_int_equal(credentials_write(&deployment()->client, &once, &error), 0);
    assert_int_equal(credentials_read(once, strlen(once), &read, &error), 0);
    assert_int_equal(X509_cmp(read.own->x509, deployment()->client.own->x509), 0);
    assert_int_equal(X509_cmp(read.authority->x509, deployment()->authority->x509), 0);
    assert_int_equal(credentials_write(&read, &twice, &error), 0);
    assert_string_equal(once, twice);
    credentials_release(&read);
    assert_null(read.own);
    certificate_forget(once);
    certificate_forget(twice);
}

static void authority_comes_back(void **state)
{
    struct error error;
    struct certificate *read;
    char *text;
    for (int with_key = 0; with_key < 2; with_key++) {
        assert_int_equal(certificate_write(deployment()->authority, with_key, &text, &error), 0);
        assert_int_equal(certificate_read(text, strlen(text), &read, &error), 0);
        assert_int_equal(X509_cmp(read->x509, deployment()->authority->x509), 0);
        assert_int_equal(read->key != NULL, with_key);
        assert_int_equal(strstr(text, "PRIVATE KEY") != NULL, with_key);
        certificate_free(read);
        certificate_forget(text);
    }
}

static void not_credentials(const char *text)
{
    struct error error;
    struct credentials read;
    assert_int_equal(credentials_read(text, strlen(text), &read, &error), -EBADMSG);
    assert_null(read.own);
    assert_null(read.authority);
}

static void broken_texts(void **state)
{
    struct error error;
    char *text, *other, mixed[10000];
    const struct credentials wrong = {.own = deployment()->server.own,
                                      .authority = deployment()->authority};
    assert_int_equal(credentials_write(&deployment()->client, &text, &error), 0);
    assert_int_equal(credentials_write(&wrong, &other, &error), 0);
    not_credentials("");
    not_credentials("nothing of it");
    /* A key and another's certificate. */
    char *end_of_key = strstr(text, "-----BEGIN CERTIFICATE");
    snprintf(mixed, sizeof mixed, "%.*s%s", (int)(end_of_key - text), text,
             strstr(other, "-----BEGIN CERTIFICATE"));
    not_credentials(mixed);
    not_credentials(end_of_key); /* no key */
    for (size_t size = strlen(text) - 20; size > 0; size = size > 37 ? size - 37 : 0) {
        text[size] = '\0';
        not_credentials(text);
    }
    certificate_forget(text);
    certificate_forget(other);
    certificate_forget(NULL);
}

/* With a password on the key, nobody is asked for it. */
static void locked_keys_are_refused(void **state)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes;
    PEM_write_bio_PrivateKey(bio, deployment()->client.own->key, EVP_aes_128_cbc(),
                             (const unsigned char *)"secret", 6, NULL, NULL);
    PEM_write_bio_X509(bio, deployment()->client.own->x509);
    PEM_write_bio_X509(bio, deployment()->authority->x509);
    BIO_write(bio, "", 1);
    BIO_get_mem_data(bio, &bytes);
    not_credentials(bytes);
    BIO_free(bio);
}

static void files_are_private_and_kept(void **state)
{
    struct error error;
    struct credentials read;
    struct stat status;
    umask(0);
    assert_int_equal(credentials_save(&deployment()->client, path, &error), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(credentials_save(&deployment()->server, path, &error), -EEXIST);
    assert_int_equal(certificate_save(deployment()->authority, path, &error), -EEXIST);
    assert_int_equal(credentials_load(path, &read, &error), 0);
    assert_int_equal(X509_cmp(read.own->x509, deployment()->client.own->x509), 0);
    credentials_release(&read);
}

static void files_that_cannot_be_read(void **state)
{
    struct error error;
    struct credentials read;
    assert_int_equal(credentials_load(path, &read, &error), -ENOENT);
    assert_non_null(strstr(error.message, path));
    assert_int_equal(credentials_load(folder, &read, &error), -EIO);
    assert_int_equal(credentials_load("/dev/zero", &read, &error), -EBADMSG);
    assert_non_null(strstr(error.message, "/dev/zero"));
}

#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_comes_back),
        cmocka_unit_test(longest_identity),
        cmocka_unit_test(foreign_identities_are_refused),
        cmocka_unit_test(hosts_are_named),
        cmocka_unit_test(wrong_subjects),
        cmocka_unit_test(only_a_key_signs),
        cmocka_unit_test(credentials_come_back),
        cmocka_unit_test(authority_comes_back),
        cmocka_unit_test(broken_texts),
        cmocka_unit_test(locked_keys_are_refused),
        FILE_TEST(files_are_private_and_kept),
        FILE_TEST(files_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
