/* sample - the files of a fuzz corpus as test input. */
#ifndef POSTERN_TESTS_UNIT_GATEWAY_SAMPLE_H
#define POSTERN_TESTS_UNIT_GATEWAY_SAMPLE_H

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLE_MAX_BYTES = 65536 };

/* Allocated with exactly len bytes, so that the sanitizer sees a read beyond them. */
struct sample {
    char name[256];
    uint8_t *data;
    size_t len;
};

/* sample_load - read a file of tests/fuzz/corpus/clienthello; the caller frees data. */
static inline struct sample sample_load(const char *name)
{
    static uint8_t buffer[SAMPLE_MAX_BYTES];
    struct sample sample = {0};
    char path[1024];
    snprintf(path, sizeof(path), TEST_CORPUS "/clienthello/%s", name);
    snprintf(sample.name, sizeof(sample.name), "%s", name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    sample.len = fread(buffer, 1, sizeof(buffer), file);
    assert_true(sample.len > 0 && sample.len < sizeof(buffer));
    fclose(file);
    sample.data = malloc(sample.len);
    assert_non_null(sample.data);
    memcpy(sample.data, buffer, sample.len);
    return sample;
}

/* sample_each - call fn with every file; returns their number. */
static inline size_t sample_each(void (*fn)(const struct sample *sample))
{
    DIR *dir = opendir(TEST_CORPUS "/clienthello");
    assert_non_null(dir);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        struct sample sample = sample_load(entry->d_name);
        fn(&sample);
        free(sample.data);
        count++;
    }
    closedir(dir);
    return count;
}

#endif
