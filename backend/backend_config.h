/* backend_config - the backend's configuration: read, checked, in the form that the parts use. */
#ifndef POSTERN_BACKEND_BACKEND_CONFIG_H
#define POSTERN_BACKEND_BACKEND_CONFIG_H

#include "backend/lockout.h"
#include "lib/check.h"
#include "lib/log.h"
#include "lib/option.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Read only, shared by all threads and counted.  Texts are borrowed from file. */
struct backend_config {
    atomic_uint refs;
    struct option_file *file;
    const char *state_dir, *run_dir;
    const char *user, *group; /* NULL: stay who we are */
    const char *gateway_user; /* NULL: only our own and root */
    const char *pid_file;     /* NULL: none */
    const char *engine;       /* of the store */
    unsigned shards, hashing_threads;
    bool sandbox;
    int64_t max_connections;
    int64_t auth_timeout_ms;
    int64_t resume_timeout_ms, ack_timeout_ms;
    size_t sm_unacked, sm_unacked_bytes;
    int64_t roster_items, roster_requests, roster_groups, roster_name_bytes; /* limits of each account */
    uint32_t scram_iterations;
    struct lockout_limits lockout;
    int64_t client_ping_ms; /* 0: clients are not asked whether they are there */
    unsigned registrations_per_source;
    int64_t registrations_window_ms;
    struct log_config log;
};

/* backend_config_load - NULL and a message in error (cap bytes) that names file and line.  running: the configuration
 * with which the server was started, NULL at the start; what differs from it and needs a restart is an error then. */
MUSTCHECK struct backend_config *backend_config_load(const char *path, const struct backend_config *running,
                                                     char *error, size_t cap);

/* backend_config_ref - one more reference; returns config.  backend_config_unref - give one back and clear the pointer;
 * the last one frees it.  Any thread. */
struct backend_config *backend_config_ref(struct backend_config *config);
void backend_config_unref(struct backend_config **config);

/* backend_config_path - the name of a file in a folder, or NULL and a message when it is too long for a socket. */
MUSTCHECK char *backend_config_path(const char *folder, const char *name, char *why, size_t cap);

#endif
