/* registration - new accounts made by clients that have none yet, before they authenticate.
 *
 * Only behind TLS, where the host allows it, and so many for each source.  Source: XEP-0077 sections 3.1 and 8. */
#ifndef POSTERN_BACKEND_REGISTRATION_H
#define POSTERN_BACKEND_REGISTRATION_H

#include "backend/stream.h"

struct registration;
struct registrations;

/* registrations_new - what all shards share: how many accounts each source has asked for lately. */
struct registrations *registrations_new(void);
void registrations_free(struct registrations **registrations);

/* registration_feature - the stream feature, if the stream's host has it. */
void registration_feature(const struct stream *stream, struct buf *out);

/* registration_is_asked - whether the element is an iq about registration. */
bool registration_is_asked(const struct elem *elem);

/* registration_step - from the step of STREAM_SASL: such an iq (taken) on the stream; returns what comes next.
 * *registration is made when there is none. */
enum stream_state registration_step(struct registration **registration, struct stream *stream, struct elem *elem);

/* registration_free - the stream goes on without it: an answer that is still to come is not told. */
void registration_free(struct registration **registration);

#endif
