#include "backend/import_report.h"

#include "lib/utf8.h"

#include <stdio.h>
#include <string.h>

enum { NOTES_MAX = 500, NOTE_MAX_BYTES = 1024 };

static const char *const NAMES[IMPORT_COUNTS] = {
    [IMPORT_ACCOUNTS] = "accounts",
    [IMPORT_EXISTING] = "existing accounts skipped",
    [IMPORT_FAILED] = "accounts not imported",
    [IMPORT_ELSEWHERE] = "accounts of other hosts",
    [IMPORT_CONTACTS] = "contacts",
    [IMPORT_REQUESTS] = "subscription requests",
    [IMPORT_MESSAGES] = "offline messages",
    [IMPORT_VCARDS] = "vCards",
    [IMPORT_PRIVATE] = "private data",
    [IMPORT_BLOCKED] = "blocked addresses",
    [IMPORT_PRIVACY_LISTS] = "privacy lists",
    [IMPORT_LEFT_OUT] = "parts left out",
};

void import_report_init(struct import_report *report)
{
    *report = (struct import_report){.notes = json_array()};
}

/* It is shown on a terminal: what is cut, or could move its cursor, becomes something harmless. */
static void make_harmless(char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F) *c = '?';
    size_t len = strlen(text);
    while (len > 0 && !utf8_is_text(text))
        text[--len] = '\0';
}

void import_report_note(struct import_report *report, const char *about, const char *fmt, va_list args)
{
    char text[NOTE_MAX_BYTES];
    if (json_array_size(report->notes) >= NOTES_MAX) {
        report->more++;
        return;
    }
    int len = snprintf(text, sizeof(text), "%s: ", about);
    if (len < 0 || (size_t)len >= sizeof(text)) len = 0;
    vsnprintf(text + len, sizeof(text) - (size_t)len, fmt, args);
    make_harmless(text);
    json_array_append_new(report->notes, json_string(text));
}

json_t *import_report_json(struct import_report *report)
{
    json_t *counts = json_object();
    for (int i = 0; i < IMPORT_COUNTS; i++)
        json_object_set_new(counts, NAMES[i], json_integer((json_int_t)report->counts[i]));
    json_t *result =
        json_pack("{s:o, s:o, s:I}", "counts", counts, "notes", report->notes, "more", (json_int_t)report->more);
    report->notes = NULL;
    return result;
}
