/* hosts_fixture - hosts from the text of a configuration, without certificates. */
#ifndef POSTERN_TESTS_UNIT_HOSTS_FIXTURE_H
#define POSTERN_TESTS_UNIT_HOSTS_FIXTURE_H

#include "backend/backend_config.h"
#include "backend/backend_options.h"
#include "backend/host.h"
#include "lib/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* hosts_of_text - those of a whole configuration, which is good; to be given back with hosts_unref. */
static struct hosts *hosts_of_text(const char *text)
{
    char path[] = "/tmp/test_hosts.XXXXXX", error[512];
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    struct backend_config *config = MEM_NEW(struct backend_config);
    atomic_init(&config->refs, 1);
    config->file = option_load(path, BACKEND_OPTIONS, BACKEND_OPTION_COUNT, error, sizeof(error));
    unlink(path);
    assert_non_null(config->file);
    struct hosts *hosts = hosts_new(config, error, sizeof(error));
    if (!hosts) fail_msg("%s", error);
    backend_config_unref(&config);
    return hosts;
}

/* hosts_fixture - host "example.test" with these options. */
static inline struct hosts *hosts_fixture(const char *options)
{
    char *text = mem_asprintf("host \"example.test\" { certificate = \"c\" key = \"k\" %s }\n", options);
    struct hosts *hosts = hosts_of_text(text);
    free(text);
    return hosts;
}

#endif
