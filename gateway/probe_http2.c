#include "gateway/probe_rows.h"

enum probe_verdict probe_http2_look(struct sight *sight)
{
    static const char *const PREFACE[] = {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    return probe_literal(sight, PREFACE, ARRAY_LEN(PREFACE));
}
