#include "gateway/tls_config.h"

#include "gateway/server_name.h"
#include "gateway/tls_certs.h"
#include "gateway/tls_sources.h"
#include "lib/mem.h"
#include "lib/tls.h"

#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CLIENT_DEPTH = 8 };

/* A default name is read as a clean one; the option's text stays as it was written. */
static int check_default_name(const struct option_section *s, char *error, size_t cap)
{
    const char *name = option_str(s, "default-name");
    char clean[SERVER_NAME_BYTES];
    if (name == NULL || server_name_clean((const uint8_t *)name, strlen(name), clean) == SERVER_NAME_HOST) return 0;
    return option_error(s, "default-name", error, cap, "expected a host name such as \"www.example.com\", not \"%s\"",
                        name);
}

static int check_files(const struct option_section *s, char *error, size_t cap)
{
    size_t certificates = option_count(s, "certificate"), keys = option_count(s, "key");
    if (certificates == 0 && option_str(s, "certificate-folder") == NULL)
        return option_error(s, "certificate", error, cap, "expected a certificate or a certificate-folder");
    if (keys != 0 && keys != certificates)
        return option_error(s, "key", error, cap, "expected one key for each of %zu certificates, not %zu",
                            certificates, keys);
    return 0;
}

static int check_client(const struct tls_config *config, const struct option_section *s, char *error, size_t cap)
{
    if (config->client_certificate == TLS_CLIENT_REQUIRED && config->client_ca == NULL)
        return option_error(s, "client-ca", error, cap,
                            "expected a file or folder beside client-certificate = required");
    if (config->client_crl != NULL && config->client_ca == NULL)
        return option_error(s, "client-crl", error, cap, "expected a client-ca beside it");
    if (config->client_certificate != TLS_CLIENT_NONE || config->client_ca == NULL) return 0;
    return option_error(s, "client-ca", error, cap, "expected client-certificate = optional or required beside it");
}

int tls_config_read(struct tls_config *config, const struct option_section *section, char *error, size_t cap)
{
    *config = (struct tls_config){
        .name = option_title(section),
        .section = section,
        .policy =
            {
                .profile = option_enum(section, "profile") == 1 ? TLS_MODERN : TLS_INTERMEDIATE,
                .ciphers = option_str(section, "ciphers"),
                .ciphersuites = option_str(section, "ciphersuites"),
                .curves = option_str(section, "curves"),
                .server_order = option_bool(section, "server-order"),
            },
        .refuse_unknown = option_enum(section, "unknown-name") == 1,
        .tickets = option_bool(section, "tickets"),
        .client_certificate = (enum tls_client_certificate)option_enum(section, "client-certificate"),
        .client_ca = option_str(section, "client-ca"),
        .client_crl = option_str(section, "client-crl"),
        .any_purpose = option_enum(section, "client-purpose") == 1,
    };
    if (check_files(section, error, cap) < 0 || check_default_name(section, error, cap) < 0) return -1;
    return check_client(config, section, error, cap);
}

/* Names for the client to choose by; an optional certificate may be from anyone. */
static int send_ca_names(const struct tls_config *config)
{
    struct stat st;
    if (config->client_certificate != TLS_CLIENT_REQUIRED) return 0;
    if (stat(config->client_ca, &st) != 0 || S_ISDIR(st.st_mode)) return 0;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(config->client_ca);
    if (names == NULL) return -1;
    SSL_CTX_set_client_CA_list(config->ctx, names);
    return 0;
}

/* OpenSSL looks certificates of a folder up when it needs them, which a worker cannot: all are read now. */
static int load_store(X509_STORE *store, const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return X509_STORE_load_file(store, path) == 1 ? 0 : -1;
    char *uri = mem_asprintf("file:%s", path);
    int rc = X509_STORE_load_store(store, uri) == 1 ? 0 : -1;
    free(uri);
    return rc;
}

static bool has_objects(X509_STORE *store)
{
    return sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) > 0;
}

static int load_client_ca(const struct tls_config *config, char *error, size_t cap)
{
    X509_STORE *store = SSL_CTX_get_cert_store(config->ctx);
    SSL_CTX_set_verify_depth(config->ctx, CLIENT_DEPTH);
    if (config->any_purpose) SSL_CTX_set_purpose(config->ctx, X509_PURPOSE_ANY);
    if (config->client_ca != NULL && (load_store(store, config->client_ca) < 0 || send_ca_names(config) < 0))
        return option_error(config->section, "client-ca", error, cap, "cannot read certificates from %s: %s",
                            config->client_ca, tls_error());
    if (config->client_ca != NULL && !has_objects(store))
        return option_error(config->section, "client-ca", error, cap, "expected a certificate in it, but %s has none",
                            config->client_ca);
    if (config->client_crl == NULL) return 0;
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    if (lookup == NULL || X509_load_crl_file(lookup, config->client_crl, X509_FILETYPE_PEM) <= 0)
        return option_error(config->section, "client-crl", error, cap, "cannot read a revocation list from %s: %s",
                            config->client_crl, tls_error());
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return 0;
}

static int make_context(struct tls_config *config, char *error, size_t cap)
{
    const char *part = NULL;
    config->ctx = SSL_CTX_new(TLS_server_method());
    if (config->ctx == NULL || tls_policy_apply(config->ctx, &config->policy, &part) < 0) {
        const bool set = part != NULL && option_is_set(config->section, part);
        return option_error(config->section, set ? part : NULL, error, cap, "OpenSSL does not take it: %s",
                            tls_error());
    }
    return load_client_ca(config, error, cap);
}

int tls_config_load(struct tls_config *config, char *error, size_t cap)
{
    tls_config_clear(config);
    if (make_context(config, error, cap) < 0) return -1;
    config->sources = tls_sources_open(config->section, error, cap);
    if (config->sources == NULL) return -1;
    config->certs = tls_sources_certs(config->sources);
    return 0;
}

void tls_config_release(struct tls_config *config)
{
    tls_sources_free(&config->sources);
    tls_certs_unref(&config->certs);
}

void tls_config_clear(struct tls_config *config)
{
    SSL_CTX_free(config->ctx);
    config->ctx = NULL;
    tls_config_release(config);
}
