#include "gateway/refusal_rows.h"

enum {
    RECORD_ALERT = 21,
    LEVEL_FATAL = 2,
    UNRECOGNIZED_NAME = 112,
    NO_APPLICATION_PROTOCOL = 120,
    TLS_1_2 = 0x0303, /* the record version of everything newer, too */
};

static void alert(const struct sight *sight, uint8_t description, struct refusal_answer *answer)
{
    uint16_t version = TLS_1_2;
    if (sight->hello_done && sight->hello.version_max < TLS_1_2) version = sight->hello.version_max;
    const uint8_t record[] = {
        RECORD_ALERT, (uint8_t)(version >> 8), (uint8_t)version, 0, 2, LEVEL_FATAL, description,
    };
    refusal_append(answer, record, sizeof(record));
}

void refusal_tls_unrecognized_name(const struct sight *sight, struct refusal_answer *answer)
{
    alert(sight, UNRECOGNIZED_NAME, answer);
}

void refusal_tls_no_application_protocol(const struct sight *sight, struct refusal_answer *answer)
{
    alert(sight, NO_APPLICATION_PROTOCOL, answer);
}
