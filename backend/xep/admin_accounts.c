/* admin_accounts - XEP-0133: make, delete, disable and enable accounts, change passwords, end sessions. */
#include "backend/account.h"
#include "backend/adhoc.h"
#include "backend/data_form.h"
#include "backend/kick.h"
#include "backend/shard.h"
#include "lib/mem.h"

#include <stdlib.h>
#include <string.h>

/* Accounts that are changed one after the other. */
struct admin_round {
    struct adhoc *call;
    enum account_action action;
    const struct elem *field, *value; /* accountjids, and the one that is at work */
    size_t done, failed;
};

static const struct adhoc_field SEVERAL[] = {{"accountjids", "jid-multi", "Addresses", true}};

static void refuse(struct adhoc *call, const char *code, const char *text)
{
    static const struct {
        const char *code;
        enum stanza_error error;
    } CODES[] = {
        {"exists", STANZA_ERROR_CONFLICT},          {"not-found", STANZA_ERROR_ITEM_NOT_FOUND},
        {"usage", STANZA_ERROR_BAD_REQUEST},        {"unavailable", STANZA_ERROR_RESOURCE_CONSTRAINT},
        {"full", STANZA_ERROR_RESOURCE_CONSTRAINT},
    };
    enum stanza_error error = STANZA_ERROR_INTERNAL_SERVER_ERROR;
    for (size_t i = 0; i < ARRAY_LEN(CODES); i++)
        if (strcmp(code, CODES[i].code) == 0) error = CODES[i].error;
    adhoc_refuse(call, error, error == STANZA_ERROR_BAD_REQUEST ? "bad-payload" : NULL, text);
}

/* One account and a password. */

static void on_changed(const char *code, const char *text, void *arg)
{
    if (code) {
        refuse(arg, code, text);
    } else {
        adhoc_finish(arg);
    }
}

/* The session in which an administrator changes the own password goes on. */
static void change(struct adhoc *call, enum account_action action)
{
    const char *why = NULL;
    struct jid *jid = adhoc_account(call, data_form_get(call->form, "accountjid"), &why);
    if (!jid) {
        adhoc_refuse(call, STANZA_ERROR_BAD_REQUEST, "bad-payload", why);
        return;
    }
    const struct account_order order = {.action = action,
                                        .jid = jid->bare,
                                        .password = data_form_get(call->form, "password"),
                                        .keep = call->request->from->full};
    account_change(call->shard, &order, on_changed, call);
    jid_free(&jid);
}

void admin_add_form(struct elem *form)
{
    static const struct adhoc_field FIELDS[] = {
        {"accountjid", "jid-single", "The address of the new account", true},
        {"password", "text-private", "Password", true},
        {"password-verify", "text-private", "Password again", true},
    };
    adhoc_fill(form, "Add a user", FIELDS, ARRAY_LEN(FIELDS));
}

void admin_add(struct adhoc *call)
{
    if (strcmp(data_form_get(call->form, "password"), data_form_get(call->form, "password-verify")) != 0) {
        adhoc_refuse(call, STANZA_ERROR_BAD_REQUEST, "bad-payload", "the passwords are not the same");
        return;
    }
    change(call, ACCOUNT_ADD);
}

void admin_password_form(struct elem *form)
{
    static const struct adhoc_field FIELDS[] = {
        {"accountjid", "jid-single", "The address of the account", true},
        {"password", "text-private", "New password", true},
    };
    adhoc_fill(form, "Change a user's password", FIELDS, ARRAY_LEN(FIELDS));
}

void admin_password(struct adhoc *call)
{
    change(call, ACCOUNT_SET_PASSWORD);
}

/* Several accounts. */

static void next(struct admin_round *round);

static void on_one_changed(const char *code, const char *text, void *arg)
{
    struct admin_round *round = arg;
    if (code) {
        round->failed++;
        adhoc_note(round->call, "error", "%s: %s", elem_text(round->value, NULL), text);
    } else {
        round->done++;
    }
    next(round);
}

static void next(struct admin_round *round)
{
    const char *why = NULL;
    while ((round->value = data_form_next(round->field, round->value)) != NULL) {
        const char *text = elem_text(round->value, NULL);
        struct jid *jid = adhoc_account(round->call, text, &why);
        if (jid) {
            const struct account_order order = {.action = round->action, .jid = jid->bare};
            account_change(round->call->shard, &order, on_one_changed, round);
            jid_free(&jid);
            return;
        }
        round->failed++;
        adhoc_note(round->call, "error", "%s: %s", text, why);
    }
    struct adhoc *call = round->call;
    if (round->done == 0 && round->failed == 1) {
        refuse(call, "not-found", "there is no such account");
    } else {
        adhoc_finish(call);
    }
    free(round);
}

static void change_several(struct adhoc *call, enum account_action action)
{
    struct admin_round *round = MEM_NEW(struct admin_round);
    round->call = call;
    round->action = action;
    round->field = data_form_find(call->form, "accountjids");
    next(round);
}

void admin_delete_form(struct elem *form)
{
    adhoc_fill(form, "Delete users", SEVERAL, ARRAY_LEN(SEVERAL));
}

void admin_delete(struct adhoc *call)
{
    change_several(call, ACCOUNT_DELETE);
}

void admin_disable_form(struct elem *form)
{
    adhoc_fill(form, "Disable users", SEVERAL, ARRAY_LEN(SEVERAL));
}

void admin_disable(struct adhoc *call)
{
    change_several(call, ACCOUNT_DISABLE);
}

void admin_enable_form(struct elem *form)
{
    adhoc_fill(form, "Re-enable users", SEVERAL, ARRAY_LEN(SEVERAL));
}

void admin_enable(struct adhoc *call)
{
    change_several(call, ACCOUNT_ENABLE);
}

/* Sessions. */

static void next_kick(struct admin_round *round);

static void on_kicked(size_t count, void *arg)
{
    struct admin_round *round = arg;
    if (count == 0) adhoc_note(round->call, "warn", "%s: not logged in", elem_text(round->value, NULL));
    round->done += count;
    next_kick(round);
}

static void next_kick(struct admin_round *round)
{
    struct adhoc *call = round->call;
    const char *why = NULL;
    while ((round->value = data_form_next(round->field, round->value)) != NULL) {
        const char *text = elem_text(round->value, NULL);
        struct jid *jid = adhoc_account(call, text, &why);
        if (jid) {
            kick(call->shard->backend, jid, "ended by an administrator", call->shard->mailbox, on_kicked, round);
            jid_free(&jid);
            return;
        }
        adhoc_note(call, "error", "%s: %s", text, why);
    }
    adhoc_note(call, "info", "%zu sessions ended.", round->done);
    adhoc_finish(call);
    free(round);
}

void admin_end_form(struct elem *form)
{
    static const struct adhoc_field FIELDS[] = {
        {"accountjids", "jid-multi", "Addresses; with a resource: that session only", true}};
    adhoc_fill(form, "End sessions of users", FIELDS, ARRAY_LEN(FIELDS));
}

void admin_end(struct adhoc *call)
{
    struct admin_round *round = MEM_NEW(struct admin_round);
    round->call = call;
    round->field = data_form_find(call->form, "accountjids");
    next_kick(round);
}
