/* sqlite_account - the SQLite engine's accounts. */
#ifndef POSTERN_BACKEND_STORE_SQLITE_ACCOUNT_H
#define POSTERN_BACKEND_STORE_SQLITE_ACCOUNT_H

#include "backend/store/store_engine.h"

/* See struct store_engine. */
enum store_status sqlite_account_get(void *engine, const char *local, const char *domain, struct store_account *out);
enum store_status sqlite_account_add(void *engine, const struct store_account *account);
enum store_status sqlite_account_set_keys(void *engine, const struct store_account *account);
enum store_status sqlite_account_set_disabled(void *engine, const char *local, const char *domain, bool disabled);
enum store_status sqlite_account_shapes(void *engine, const char *domain, struct store_shapes *out);
enum store_status sqlite_account_del(void *engine, const char *local, const char *domain);
enum store_status sqlite_account_list(void *engine, const char *domain, bool disabled, struct store_names *out);

#endif
