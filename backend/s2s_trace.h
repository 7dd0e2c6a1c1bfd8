/* s2s_trace - who wants to hear of every step of a connection to another server: posternctl s2s check. */
#ifndef POSTERN_BACKEND_S2S_TRACE_H
#define POSTERN_BACKEND_S2S_TRACE_H

/* ok: 1 done, 0 failed, -1 worth knowing.  step is a static word such as "srv", "connect", "tls", "certificate". */
typedef void s2s_trace_fn(void *arg, int ok, const char *step, const char *text);

struct s2s_trace {
    s2s_trace_fn *fn; /* NULL: nobody */
    void *arg;
};

/* s2s_trace - tell it; costs nothing when nobody listens. */
__attribute__((format(printf, 4, 5))) void s2s_trace(const struct s2s_trace *trace, int ok, const char *step,
                                                     const char *format, ...);

#endif
