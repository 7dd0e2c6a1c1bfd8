#include "gateway/tls_sources.h"

#include "gateway/server_name.h"
#include "gateway/tls_certs.h"
#include "gateway/tls_folder.h"
#include "lib/buf.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/tls_pair.h"

#include <errno.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What tells one content of a file from another; zeros when there is none. */
struct stamp {
    uint64_t device, inode, size;
    struct timespec modified, changed;
};

struct source {
    char *cert, *key; /* key NULL: in cert, or beside it */
    bool listed;      /* in "certificate" */
    struct stamp cert_stamp, key_stamp;
    struct tls_pair *pair; /* NULL: none could be read */
};

struct tls_sources {
    const struct option_section *section;
    size_t count;
    struct source *items; /* listed ones, then those of the folder by path */
    uint64_t read_sum;    /* over names and stamps, when they were read */
    uint64_t seen_sum;    /* at the last look */
};

static struct stamp stamp_of(const char *path)
{
    struct stat st;
    if (path == NULL || stat(path, &st) != 0) return (struct stamp){0};
    return (struct stamp){.device = st.st_dev,
                          .inode = st.st_ino,
                          .size = (uint64_t)st.st_size,
                          .modified = st.st_mtim,
                          .changed = st.st_ctim};
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Takes cert and key. */
static void add(struct tls_sources *sources, char *cert, char *key, bool listed)
{
    char *beside = key == NULL && listed ? tls_pair_key_path(cert) : NULL;
    if ((sources->count & (sources->count - 1)) == 0)
        sources->items =
            mem_realloc(sources->items, (sources->count > 0 ? sources->count * 2 : 1) * sizeof(struct source));
    sources->items[sources->count++] = (struct source){.cert = cert,
                                                       .key = key,
                                                       .listed = listed,
                                                       .cert_stamp = stamp_of(cert),
                                                       .key_stamp = stamp_of(key != NULL ? key : beside)};
    free(beside);
}

/* All files there are now, nothing read.  Returns -1 and errno when the folder cannot be read. */
static int list_all(const struct option_section *section, struct tls_sources *out)
{
    *out = (struct tls_sources){.section = section};
    for (size_t i = 0; i < option_count(section, "certificate"); i++) {
        const char *key = option_count(section, "key") > 0 ? option_item(section, "key", i) : NULL;
        add(out, mem_strdup(option_item(section, "certificate", i)), mem_strdup(key), true);
    }
    const char *path = option_str(section, "certificate-folder");
    struct tls_folder folder;
    if (path == NULL) return 0;
    if (tls_folder_scan(path, &folder) < 0) return -1;
    for (size_t i = 0; i < folder.count; i++)
        add(out, mem_strdup(folder.items[i].cert), mem_strdup(folder.items[i].key), false);
    tls_folder_free(&folder);
    return 0;
}

static void clear(struct tls_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++) {
        free(sources->items[i].cert);
        free(sources->items[i].key);
        tls_pair_unref(&sources->items[i].pair);
    }
    free(sources->items);
    sources->items = NULL;
    sources->count = 0;
}

static uint64_t sum_of(const struct tls_sources *sources)
{
    struct buf all = {0};
    for (size_t i = 0; i < sources->count; i++) {
        const struct source *source = &sources->items[i];
        buf_append(&all, source->cert, strlen(source->cert) + 1);
        if (source->key != NULL) buf_append(&all, source->key, strlen(source->key) + 1);
        buf_append(&all, &source->cert_stamp, sizeof(source->cert_stamp));
        buf_append(&all, &source->key_stamp, sizeof(source->key_stamp));
    }
    uint64_t sum = hash_bytes(buf_data(&all), buf_len(&all));
    buf_free(&all);
    return sum;
}

static void warn(const char *event, const char *file, const char *what)
{
    struct log_line line;
    log_begin(&line, LOG_LEVEL_WARN, event);
    log_str(&line, "file", file);
    log_str(&line, "msg", what);
    log_end(&line);
}

static void check_time(const struct tls_pair *pair)
{
    if (X509_cmp_current_time(X509_get0_notAfter(pair->leaf)) < 0)
        warn("certificate_expired", pair->file, "the certificate has expired; it is served all the same");
    if (X509_cmp_current_time(X509_get0_notBefore(pair->leaf)) > 0)
        warn("certificate_early", pair->file, "the certificate is not valid yet; it is served all the same");
}

/* Returns -1 and why when the file cannot be used; one without key in a folder is none of ours. */
static int read_source(struct source *source, char *why, size_t cap)
{
    if (!source->listed && source->key == NULL && !tls_pair_has_key(source->cert)) return 0;
    struct tls_pair *pair = tls_pair_read(source->cert, source->key, why, cap);
    if (pair == NULL) return -1;
    check_time(pair);
    tls_pair_unref(&source->pair);
    source->pair = pair;
    return 0;
}

/* Read all; returns -1 and error when a listed one cannot be used. */
static int read_first(struct tls_sources *sources, char *error, size_t cap)
{
    char why[512];
    size_t found = 0;
    for (size_t i = 0; i < sources->count; i++) {
        struct source *source = &sources->items[i];
        if (read_source(source, why, sizeof(why)) < 0) {
            if (source->listed) return option_error(sources->section, "certificate", error, cap, "%s", why);
            warn("certificate_unusable", source->cert, why);
        }
        found += source->pair != NULL;
    }
    if (found > 0) return 0;
    return option_error(sources->section, "certificate-folder", error, cap,
                        "expected a certificate with its key in it, but there is none");
}

static const char *clean_default(const struct tls_sources *sources, char out[SERVER_NAME_BYTES])
{
    const char *name = option_str(sources->section, "default-name");
    if (name == NULL) return NULL;
    return server_name_clean((const uint8_t *)name, strlen(name), out) == SERVER_NAME_HOST ? out : NULL;
}

static int check_default(const struct tls_sources *sources, char *error, size_t cap)
{
    char name[SERVER_NAME_BYTES];
    if (clean_default(sources, name) == NULL) return 0;
    struct tls_certs *certs = tls_sources_certs(sources);
    bool known = tls_certs_find(certs, name) != NULL;
    tls_certs_unref(&certs);
    if (known) return 0;
    return option_error(sources->section, "default-name", error, cap,
                        "expected a name that a certificate is for, not %s", name);
}

struct tls_sources *tls_sources_open(const struct option_section *section, char *error, size_t cap)
{
    struct tls_sources *sources = MEM_NEW(struct tls_sources);
    int rc = list_all(section, sources);
    if (rc < 0)
        option_error(section, "certificate-folder", error, cap, "cannot read the folder %s: %s",
                     option_str(section, "certificate-folder"), strerror(errno));
    if (rc < 0 || read_first(sources, error, cap) < 0 || check_default(sources, error, cap) < 0) {
        tls_sources_free(&sources);
        return NULL;
    }
    sources->read_sum = sources->seen_sum = sum_of(sources);
    return sources;
}

void tls_sources_free(struct tls_sources **sources)
{
    if (*sources == NULL) return;
    clear(*sources);
    free(*sources);
    *sources = NULL;
}

enum tls_sources_state tls_sources_look(struct tls_sources *sources)
{
    struct tls_sources now;
    /* A folder that is away for a moment changes nothing. */
    if (list_all(sources->section, &now) < 0) {
        clear(&now);
        return TLS_SOURCES_SAME;
    }
    uint64_t sum = sum_of(&now), last = sources->seen_sum;
    clear(&now);
    sources->seen_sum = sum;
    if (sum == sources->read_sum) return TLS_SOURCES_SAME;
    return sum == last ? TLS_SOURCES_CHANGED : TLS_SOURCES_MOVING;
}

/* Take over what was read from the same file before; returns whether it has not changed since. */
static bool take_over(struct source *source, const struct source *old)
{
    if (old == NULL) return false;
    if (old->pair != NULL) source->pair = tls_pair_ref(old->pair);
    return same_stamp(&old->cert_stamp, &source->cert_stamp) && same_stamp(&old->key_stamp, &source->key_stamp) &&
           (old->key == NULL) == (source->key == NULL);
}

static void read_again(struct source *source, const struct source *old)
{
    char why[512], text[600];
    if (take_over(source, old)) return;
    if (read_source(source, why, sizeof(why)) < 0) {
        snprintf(text, sizeof(text), "%s; %s", why,
                 source->pair != NULL ? "what was read before stays in use" : "it is not used");
        warn("certificate_unusable", source->cert, text);
    } else if (source->pair != NULL) {
        log_msg(LOG_LEVEL_INFO, "certificate_read", "%s", source->cert);
    }
}

static bool has_any(const struct tls_sources *sources)
{
    for (size_t i = 0; i < sources->count; i++)
        if (sources->items[i].pair != NULL) return true;
    return false;
}

void tls_sources_read(struct tls_sources *sources)
{
    struct tls_sources now;
    if (list_all(sources->section, &now) < 0) {
        clear(&now);
        return;
    }
    struct map *known = map_new();
    for (size_t i = 0; i < sources->count; i++)
        map_set_str(known, sources->items[i].cert, &sources->items[i]);
    for (size_t i = 0; i < now.count; i++)
        read_again(&now.items[i], map_get_str(known, now.items[i].cert));
    map_free(&known);
    now.read_sum = now.seen_sum = sum_of(&now);
    if (has_any(&now)) {
        clear(sources);
        *sources = now;
        return;
    }
    warn("certificates_kept", option_str(sources->section, "certificate-folder"),
         "no certificate is left; those of before stay in use");
    sources->read_sum = sources->seen_sum = now.read_sum;
    clear(&now);
}

/* Listed ones in their order, then those that expire last. */
static int by_rank(const void *a, const void *b)
{
    const struct source *one = *(const struct source *const *)a, *two = *(const struct source *const *)b;
    if (one->listed != two->listed) return one->listed ? -1 : 1;
    int days = 0, seconds = 0;
    if (!one->listed)
        (void)ASN1_TIME_diff(&days, &seconds, X509_get0_notAfter(one->pair->leaf), X509_get0_notAfter(two->pair->leaf));
    if (days != 0 || seconds != 0) return days > 0 || seconds > 0 ? 1 : -1;
    return one < two ? -1 : 1;
}

struct tls_certs *tls_sources_certs(const struct tls_sources *sources)
{
    struct tls_certs *certs = tls_certs_new();
    const struct source **ranked = mem_alloc((sources->count + 1) * sizeof(struct source *));
    struct tls_pair *first = NULL;
    size_t count = 0;
    char name[SERVER_NAME_BYTES];
    for (size_t i = 0; i < sources->count; i++) {
        if (sources->items[i].pair == NULL) continue;
        if (first == NULL) first = sources->items[i].pair;
        ranked[count++] = &sources->items[i];
    }
    if (count > 0) qsort(ranked, count, sizeof(struct source *), by_rank);
    for (size_t i = 0; i < count; i++)
        tls_certs_add(certs, ranked[i]->pair);
    free(ranked);
    tls_certs_set_default(certs, clean_default(sources, name), first);
    return certs;
}
