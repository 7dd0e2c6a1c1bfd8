/* http_date - the time as HTTP writes it. */
#ifndef POSTERN_LIB_HTTP_DATE_H
#define POSTERN_LIB_HTTP_DATE_H

enum { HTTP_DATE_BYTES = 64 };

/* http_date - now, "Sun, 06 Nov 1994 08:49:37 GMT"; returns out.  Source: RFC 9110 section 5.6.7. */
char *http_date(char out[HTTP_DATE_BYTES]);

#endif
