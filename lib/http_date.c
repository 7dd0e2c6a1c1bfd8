#include "lib/http_date.h"

#include "lib/check.h"

#include <time.h>

char *http_date(char out[HTTP_DATE_BYTES])
{
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    CHECK(strftime(out, HTTP_DATE_BYTES, "%a, %d %b %Y %H:%M:%S GMT", &tm) > 0);
    return out;
}
