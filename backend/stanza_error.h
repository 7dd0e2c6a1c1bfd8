/* stanza_error - error stanzas in answer to a stanza.
 *
 * Source: RFC 6120 section 8.3. */
#ifndef POSTERN_BACKEND_STANZA_ERROR_H
#define POSTERN_BACKEND_STANZA_ERROR_H

#include "backend/stanza.h"
#include "backend/store.h"

struct shard;

/* The conditions of RFC 6120 section 8.3.3, but for redirect, whose element has content. */
enum stanza_error {
    STANZA_ERROR_BAD_REQUEST,
    STANZA_ERROR_CONFLICT,
    STANZA_ERROR_FEATURE_NOT_IMPLEMENTED,
    STANZA_ERROR_FORBIDDEN,
    STANZA_ERROR_GONE,
    STANZA_ERROR_INTERNAL_SERVER_ERROR,
    STANZA_ERROR_ITEM_NOT_FOUND,
    STANZA_ERROR_JID_MALFORMED,
    STANZA_ERROR_NOT_ACCEPTABLE,
    STANZA_ERROR_NOT_ALLOWED,
    STANZA_ERROR_NOT_AUTHORIZED,
    STANZA_ERROR_POLICY_VIOLATION,
    STANZA_ERROR_RECIPIENT_UNAVAILABLE,
    STANZA_ERROR_REGISTRATION_REQUIRED,
    STANZA_ERROR_REMOTE_SERVER_NOT_FOUND,
    STANZA_ERROR_REMOTE_SERVER_TIMEOUT,
    STANZA_ERROR_RESOURCE_CONSTRAINT,
    STANZA_ERROR_SERVICE_UNAVAILABLE,
    STANZA_ERROR_SUBSCRIPTION_REQUIRED,
    STANZA_ERROR_UNDEFINED_CONDITION,
    STANZA_ERROR_UNEXPECTED_REQUEST,
};

/* stanza_error_allowed - whether stanza may be answered by an error: never one that is itself an error or an iq
 * result. */
bool stanza_error_allowed(const struct stanza *stanza);

/* stanza_error_of_store - the condition for a client whose change could not be stored; status is not STORE_OK. */
enum stanza_error stanza_error_of_store(enum store_status status);

/* stanza_error_new - the error stanza that answers request (RFC 6120 section 8.3.1), or NULL when none is allowed; text
 * (for a person) may be NULL. */
MUSTCHECK struct stanza *stanza_error_new(const struct stanza *request, enum stanza_error condition, const char *text);

/* stanza_error_answer - send that error to the sender through the router, or count the stanza as dropped. */
void stanza_error_answer(struct shard *shard, const struct stanza *request, enum stanza_error condition,
                         const char *text);

/* stanza_error_bounce - stanza_error_answer for a stanza that is at its end (takes it). */
void stanza_error_bounce(struct shard *shard, struct stanza *stanza, enum stanza_error condition);

#endif
