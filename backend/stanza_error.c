#include "backend/stanza_error.h"

#include "backend/ns.h"
#include "backend/router.h"
#include "backend/shard.h"

#include <string.h>

struct stanza_error_row {
    const char *name;
    const char *type; /* what the sender may do about it: RFC 6120 section 8.3.2 */
};

static const struct stanza_error_row ROWS[] = {
    [STANZA_ERROR_BAD_REQUEST] = {"bad-request", "modify"},
    [STANZA_ERROR_CONFLICT] = {"conflict", "cancel"},
    [STANZA_ERROR_FEATURE_NOT_IMPLEMENTED] = {"feature-not-implemented", "cancel"},
    [STANZA_ERROR_FORBIDDEN] = {"forbidden", "auth"},
    [STANZA_ERROR_GONE] = {"gone", "cancel"},
    [STANZA_ERROR_INTERNAL_SERVER_ERROR] = {"internal-server-error", "wait"},
    [STANZA_ERROR_ITEM_NOT_FOUND] = {"item-not-found", "cancel"},
    [STANZA_ERROR_JID_MALFORMED] = {"jid-malformed", "modify"},
    [STANZA_ERROR_NOT_ACCEPTABLE] = {"not-acceptable", "modify"},
    [STANZA_ERROR_NOT_ALLOWED] = {"not-allowed", "cancel"},
    [STANZA_ERROR_NOT_AUTHORIZED] = {"not-authorized", "auth"},
    [STANZA_ERROR_POLICY_VIOLATION] = {"policy-violation", "modify"},
    [STANZA_ERROR_RECIPIENT_UNAVAILABLE] = {"recipient-unavailable", "wait"},
    [STANZA_ERROR_REGISTRATION_REQUIRED] = {"registration-required", "auth"},
    [STANZA_ERROR_REMOTE_SERVER_NOT_FOUND] = {"remote-server-not-found", "cancel"},
    [STANZA_ERROR_REMOTE_SERVER_TIMEOUT] = {"remote-server-timeout", "wait"},
    [STANZA_ERROR_RESOURCE_CONSTRAINT] = {"resource-constraint", "wait"},
    [STANZA_ERROR_SERVICE_UNAVAILABLE] = {"service-unavailable", "cancel"},
    [STANZA_ERROR_SUBSCRIPTION_REQUIRED] = {"subscription-required", "auth"},
    [STANZA_ERROR_UNDEFINED_CONDITION] = {"undefined-condition", "cancel"},
    [STANZA_ERROR_UNEXPECTED_REQUEST] = {"unexpected-request", "wait"},
};

bool stanza_error_allowed(const struct stanza *stanza)
{
    return stanza->type != STANZA_ERROR && stanza->type != STANZA_RESULT;
}

enum stanza_error stanza_error_of_store(enum store_status status)
{
    return status == STORE_FULL || status == STORE_LIMIT ? STANZA_ERROR_RESOURCE_CONSTRAINT
                                                         : STANZA_ERROR_INTERNAL_SERVER_ERROR;
}

struct stanza *stanza_error_new(const struct stanza *request, enum stanza_error condition, const char *text)
{
    if (!stanza_error_allowed(request)) return NULL;
    struct stanza *answer = stanza_reply(request, "error");
    struct elem *error = elem_add(answer->elem, NS_CLIENT, "error");
    elem_set(error, "type", ROWS[condition].type);
    elem_add(error, NS_STANZAS, ROWS[condition].name);
    if (!text) return answer;
    struct elem *said = elem_add(error, NS_STANZAS, "text");
    elem_set_ns(said, NS_XML, "lang", "en");
    elem_add_text(said, text, strlen(text));
    return answer;
}

void stanza_error_answer(struct shard *shard, const struct stanza *request, enum stanza_error condition,
                         const char *text)
{
    struct stanza *answer = stanza_error_new(request, condition, text);
    shard_count(shard, answer ? COUNTER_STANZA_ERRORS : COUNTER_STANZAS_DROPPED);
    if (answer) router_deliver(shard, answer);
}

void stanza_error_bounce(struct shard *shard, struct stanza *stanza, enum stanza_error condition)
{
    stanza_error_answer(shard, stanza, condition, NULL);
    stanza_free(&stanza);
}
