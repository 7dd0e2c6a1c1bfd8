#include "backend/contact.h"

#include "backend/data_form.h"
#include "backend/host.h"
#include "backend/ns.h"
#include "lib/option.h"

#include <ctype.h>
#include <string.h>

static const struct {
    const char *option, *field;
} ROWS[] = {
    {"contact-abuse", "abuse-addresses"},       {"contact-admin", "admin-addresses"},
    {"contact-feedback", "feedback-addresses"}, {"contact-sales", "sales-addresses"},
    {"contact-security", "security-addresses"}, {"contact-status", "status-addresses"},
    {"contact-support", "support-addresses"},
};

/* RFC 3986 section 3: a scheme, a colon, and something without spaces. */
static bool is_uri(const char *text)
{
    const char *at = text;
    if (!isalpha((unsigned char)*at)) return false;
    while (isalnum((unsigned char)*at) || (*at && strchr("+-.", *at)))
        at++;
    if (*at++ != ':' || *at == '\0') return false;
    for (; *at; at++)
        if ((unsigned char)*at <= ' ' || strchr("<>\"", *at)) return false;
    return true;
}

int contact_check(const struct option_section *host, char *error, size_t cap)
{
    for (size_t row = 0; row < ARRAY_LEN(ROWS); row++) {
        for (size_t i = 0; i < option_count(host, ROWS[row].option); i++) {
            const char *text = option_item(host, ROWS[row].option, i);
            if (is_uri(text)) continue;
            return option_error(host, ROWS[row].option, error, cap,
                                "expected URIs such as \"mailto:xmpp@example.com\", not \"%s\"", text);
        }
    }
    return 0;
}

void contact_add_form(const struct host *host, struct elem *query)
{
    struct elem *form = NULL;
    for (size_t row = 0; row < ARRAY_LEN(ROWS); row++) {
        const size_t count = option_count(host->section, ROWS[row].option);
        if (count == 0) continue;
        if (!form) form = data_form_add(query, "result", NS_SERVER_INFO);
        struct elem *field = data_form_field(form, ROWS[row].field, NULL, NULL, NULL);
        for (size_t i = 0; i < count; i++)
            data_form_value(field, option_item(host->section, ROWS[row].option, i));
    }
}
