#include "backend/server_restore.h"

#include "backend/server_state.h"
#include "backend/store.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int confine(const struct backend_config *config, char *why, size_t cap)
{
    const struct sandbox_path path = {config->state_dir, true};
    const struct sandbox_rules rules = {.paths = &path, .path_count = 1, .may_write_files = true};
    return config->sandbox ? sandbox_enter(&rules, NULL, why, cap) : 0;
}

static int restore(const struct backend_config *config, int fd, char *kept, char *why, size_t cap)
{
    struct backend backend = {.config = config};
    const struct log_config quiet = {.level = LOG_LEVEL_WARN, .format = config->log.format};
    if (log_setup(&quiet, NULL) != 0) return -1;
    if (server_state_make_folders(config, false, why, cap) != 0) return -1;
    if (proc_drop_privileges(config->user, config->group, why, cap) != 0) return -1;
    if (server_state_take(&backend, why, cap) != 0) return -1;
    if (confine(config, why, cap) != 0) return -1;
    return store_restore(config->engine, config->state_dir, fd, kept, why, cap);
}

int server_restore(const struct backend_config *config, int fd)
{
    char why[1024] = "", kept[STORE_PATH_MAX_BYTES] = "";
    const int result = restore(config, fd, kept, why, sizeof(why));
    close(fd);
    if (result != 0) {
        fprintf(stderr, "postern-backend: %s\n", why);
        return EXIT_FAILURE;
    }
    puts(kept);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
