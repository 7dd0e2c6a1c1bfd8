/* import_report - what an import has done, counted, with notes for a person about what was left out and why. */
#ifndef POSTERN_BACKEND_IMPORT_REPORT_H
#define POSTERN_BACKEND_IMPORT_REPORT_H

#include "lib/check.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdint.h>

enum import_count {
    IMPORT_ACCOUNTS,  /* that are there now */
    IMPORT_EXISTING,  /* that were there, and stay as they are */
    IMPORT_FAILED,    /* that could not be imported */
    IMPORT_ELSEWHERE, /* of hosts that are not served, or not wanted */
    IMPORT_CONTACTS,
    IMPORT_REQUESTS,
    IMPORT_MESSAGES,
    IMPORT_VCARDS,
    IMPORT_PRIVATE,
    IMPORT_BLOCKED,
    IMPORT_PRIVACY_LISTS,
    IMPORT_LEFT_OUT, /* parts of users */
    IMPORT_COUNTS
};

struct import_report {
    uint64_t counts[IMPORT_COUNTS];
    json_t *notes; /* texts; beyond some hundred they are only counted */
    uint64_t more; /* notes that were not kept */
};

void import_report_init(struct import_report *report);

/* import_report_note - about: whom or what, in front of the text. */
void import_report_note(struct import_report *report, const char *about, const char *fmt, va_list args)
    PRINTF_LIKE(3, 0);

/* import_report_json - all of it, as posternctl is told; the report is empty afterwards. */
MUSTCHECK json_t *import_report_json(struct import_report *report);

#endif
