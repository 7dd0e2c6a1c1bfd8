#include "backend/certificate_files.h"

#include "backend/backend_config.h"
#include "lib/mem.h"

#include <stdint.h>

static int each_of(const struct option_section *s, const char *const *options, size_t count,
                   int (*fn)(const struct certificate_file *file, void *arg), void *arg)
{
    int result = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        const struct certificate_file file = {option_str(s, options[i]), s, options[i]};
        if (file.path) result = fn(&file, arg);
    }
    return result;
}

int certificate_files_each(const struct backend_config *config,
                           int (*fn)(const struct certificate_file *file, void *arg), void *arg)
{
    static const char *const OF_HOSTS[] = {"certificate", "key", "client-ca"}, *const OF_ALL[] = {"s2s-ca", "s2s-crl"};
    const struct option_section *s = NULL;
    int result = each_of(option_top(config->file), OF_ALL, ARRAY_LEN(OF_ALL), fn, arg);
    while (result == 0 && (s = option_next(config->file, "host", s)) != NULL)
        result = each_of(s, OF_HOSTS, ARRAY_LEN(OF_HOSTS), fn, arg);
    return result;
}

struct listing {
    char **paths;
    size_t count;
};

static int list(const struct certificate_file *file, void *arg)
{
    struct listing *listing = arg;
    listing->paths = mem_realloc(listing->paths, (listing->count + 1) * sizeof(char *));
    listing->paths[listing->count++] = (char *)(uintptr_t)file->path; /* nobody writes to them */
    return 0;
}

char **certificate_files_list(const struct backend_config *config, size_t *count)
{
    struct listing listing = {0};
    (void)certificate_files_each(config, list, &listing);
    *count = listing.count;
    return listing.paths;
}
