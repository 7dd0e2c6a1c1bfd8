/* ns - the XML namespaces that the server speaks, once. */
#ifndef POSTERN_BACKEND_NS_H
#define POSTERN_BACKEND_NS_H

#define NS_STREAM        "http://etherx.jabber.org/streams"
#define NS_STREAMS       "urn:ietf:params:xml:ns:xmpp-streams"
#define NS_STANZAS       "urn:ietf:params:xml:ns:xmpp-stanzas"
#define NS_CLIENT        "jabber:client"
#define NS_SERVER        "jabber:server"
#define NS_TLS           "urn:ietf:params:xml:ns:xmpp-tls"
#define NS_SASL          "urn:ietf:params:xml:ns:xmpp-sasl"
#define NS_SASL_CB       "urn:xmpp:sasl-cb:0"
#define NS_BIND          "urn:ietf:params:xml:ns:xmpp-bind"
#define NS_SESSION       "urn:ietf:params:xml:ns:xmpp-session"
#define NS_SM            "urn:xmpp:sm:3"
#define NS_HINTS         "urn:xmpp:hints"
#define NS_CHAT_STATES   "http://jabber.org/protocol/chatstates"
#define NS_ROSTER        "jabber:iq:roster"
#define NS_ROSTER_VER    "urn:xmpp:features:rosterver"
#define NS_PREAPPROVAL   "urn:xmpp:features:pre-approval"
#define NS_PING          "urn:xmpp:ping"
#define NS_DISCO_INFO    "http://jabber.org/protocol/disco#info"
#define NS_DISCO_ITEMS   "http://jabber.org/protocol/disco#items"
#define NS_XML           "http://www.w3.org/XML/1998/namespace"
#define NS_XMLNS         "http://www.w3.org/2000/xmlns/"
#define NS_CAPS          "http://jabber.org/protocol/caps"
#define NS_DATA          "jabber:x:data"
#define NS_SERVER_INFO   "http://jabber.org/network/serverinfo"
#define NS_SOFTWARE_INFO "urn:xmpp:dataforms:softwareinfo"
#define NS_VERSION       "jabber:iq:version"
#define NS_LAST          "jabber:iq:last"
#define NS_TIME          "urn:xmpp:time"

#endif
