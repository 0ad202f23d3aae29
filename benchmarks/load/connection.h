/* One MQTT 3.1.1 connection over TLS, not blocking: bytes out are queued, bytes in are cut into packets. */
#ifndef LOAD_CONNECTION_H
#define LOAD_CONNECTION_H

#include <openssl/ssl.h>
#include <stddef.h>
#include <stdint.h>

enum state { HANDSHAKE, CONNECTING, SUBSCRIBING, READY, CLOSED };

struct credential {
    char *client_id, *username, *password;
};

struct connection {
    SSL *ssl;
    int fd;
    enum state state;
    const struct credential *credential;
    const char *filter; /* what it subscribes to after CONNACK; NULL for nothing */
    int qos;
    uint8_t *out;
    size_t out_start, out_end, out_size;
    uint8_t *in;
    size_t in_end, in_size;
    int wants_write;
    uint64_t sent, acknowledged, received;
    uint16_t next_id;
};

/* What a packet means to the program; called for CONNACK, SUBACK, PUBLISH and PUBACK. */
typedef void (*packet_handler)(struct connection *, uint8_t first, const uint8_t *body, size_t length);

int connection_open(struct connection *, SSL_CTX *, SSL_SESSION *, const char *host, int port);
/* Goes on with whatever the socket allows now. Returns 0, or -1 where the connection is over. */
int connection_go_on(struct connection *, packet_handler);
void connection_close(struct connection *);

void send_publish(struct connection *, const char *topic, const uint8_t *payload, size_t size, int qos);
void send_puback(struct connection *, const uint8_t id[2]);
size_t waiting_out(const struct connection *);

#endif
