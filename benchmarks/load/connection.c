#define _GNU_SOURCE
#include "connection.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint8_t *room(struct connection *c, size_t wanted) {
    if (c->out_start == c->out_end) c->out_start = c->out_end = 0;
    if (c->out_end + wanted > c->out_size) {
        c->out_size = (c->out_end + wanted) * 2;
        c->out = realloc(c->out, c->out_size);
    }
    uint8_t *start = c->out + c->out_end;
    c->out_end += wanted;
    return start;
}

static size_t put_length(uint8_t *at, size_t length) {
    size_t used = 0;
    do {
        at[used] = (length & 127) | (length > 127 ? 128 : 0);
        length >>= 7;
        used++;
    } while (length);
    return used;
}

static uint8_t *put_text(uint8_t *at, const char *text) {
    size_t size = strlen(text);
    at[0] = size >> 8;
    at[1] = size & 255;
    memcpy(at + 2, text, size);
    return at + 2 + size;
}

static void send_packet(struct connection *c, uint8_t first, const uint8_t *body, size_t size) {
    uint8_t head[5] = {first};
    size_t used = 1 + put_length(head + 1, size);
    uint8_t *at = room(c, used + size);
    memcpy(at, head, used);
    memcpy(at + used, body, size);
}

static void send_connect(struct connection *c) {
    const struct credential *who = c->credential;
    uint8_t body[4096], *at = put_text(body, "MQTT");
    uint8_t flags = 2; /* clean session */
    if (*who->username) flags |= 128;
    if (*who->password) flags |= 64;
    *at++ = 4;
    *at++ = flags;
    *at++ = 0;
    *at++ = 0;
    at = put_text(at, who->client_id);
    if (flags & 128) at = put_text(at, who->username);
    if (flags & 64) at = put_text(at, who->password);
    send_packet(c, 0x10, body, at - body);
}

static void send_subscribe(struct connection *c) {
    uint8_t body[1024] = {0, 1}, *at = put_text(body + 2, c->filter);
    *at++ = c->qos;
    send_packet(c, 0x82, body, at - body);
}

void send_publish(struct connection *c, const char *topic, const uint8_t *payload, size_t size, int qos) {
    size_t name = strlen(topic), length = 2 + name + (qos ? 2 : 0) + size;
    uint8_t head[5] = {0x30 | qos << 1};
    size_t used = 1 + put_length(head + 1, length);
    uint8_t *at = room(c, used + length);
    memcpy(at, head, used);
    at = put_text(at + used, topic);
    if (qos) {
        c->next_id = c->next_id == 65535 ? 1 : c->next_id + 1;
        *at++ = c->next_id >> 8;
        *at++ = c->next_id & 255;
    }
    memcpy(at, payload, size);
    c->sent++;
}

void send_puback(struct connection *c, const uint8_t id[2]) {
    uint8_t *at = room(c, 4);
    at[0] = 0x40;
    at[1] = 2;
    at[2] = id[0];
    at[3] = id[1];
}

size_t waiting_out(const struct connection *c) { return c->out_end - c->out_start; }

int connection_open(struct connection *c, SSL_CTX *context, SSL_SESSION *session, const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (c->fd < 0 || (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)) return -1;
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    if (session) SSL_set_session(c->ssl, session);
    SSL_set_connect_state(c->ssl);
    c->state = HANDSHAKE;
    c->wants_write = 1;
    return 0;
}

static int blocked(struct connection *c, int result) {
    int error = SSL_get_error(c->ssl, result);
    if (error == SSL_ERROR_WANT_WRITE) c->wants_write = 1;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

static int write_out(struct connection *c) {
    c->wants_write = 0;
    while (c->out_start < c->out_end) {
        size_t size = c->out_end - c->out_start;
        int done = SSL_write(c->ssl, c->out + c->out_start, size > 16384 ? 16384 : size);
        if (done <= 0) return blocked(c, done) ? 0 : -1;
        c->out_start += done;
    }
    return 0;
}

/* Cuts what has come into packets. */
static void packets(struct connection *c, packet_handler handle) {
    size_t at = 0;
    while (c->in_end - at >= 2) {
        size_t length = 0, used = 1;
        int shift = 0, more;
        do {
            if (at + used >= c->in_end) goto rest;
            more = c->in[at + used] & 128;
            length |= (size_t)(c->in[at + used] & 127) << shift;
            shift += 7;
            used++;
        } while (more);
        if (at + used + length > c->in_end) break;
        uint8_t first = c->in[at];
        if (first == 0x20) {
            c->state = c->in[at + used + 1] ? CLOSED : c->filter ? SUBSCRIBING : READY;
            if (c->state == SUBSCRIBING) send_subscribe(c);
        } else if (first == 0x90) {
            c->state = READY;
        } else if (first == 0x40) {
            c->acknowledged++;
        } else if (first >> 4 == 3) {
            c->received++;
        }
        handle(c, first, c->in + at + used, length);
        at += used + length;
    }
rest:
    memmove(c->in, c->in + at, c->in_end - at);
    c->in_end -= at;
}

static int read_in(struct connection *c, packet_handler handle) {
    for (;;) {
        if (c->in_size - c->in_end < 16384) {
            c->in_size = c->in_end + 65536;
            c->in = realloc(c->in, c->in_size);
        }
        int got = SSL_read(c->ssl, c->in + c->in_end, c->in_size - c->in_end);
        if (got <= 0) return blocked(c, got) ? 0 : -1;
        c->in_end += got;
        packets(c, handle);
        if (c->state == CLOSED) return -1;
    }
}

int connection_go_on(struct connection *c, packet_handler handle) {
    ERR_clear_error();
    if (c->state == HANDSHAKE) {
        c->wants_write = 0;
        int done = SSL_do_handshake(c->ssl);
        if (done <= 0) return blocked(c, done) ? 0 : -1;
        c->state = CONNECTING;
        send_connect(c);
    }
    if (write_out(c) || read_in(c, handle)) return -1;
    return write_out(c);
}

void connection_close(struct connection *c) {
    if (c->ssl) {
        SSL_shutdown(c->ssl);
        SSL_free(c->ssl);
        close(c->fd);
    }
    c->ssl = NULL;
    c->state = CLOSED;
    c->out_start = c->out_end = c->in_end = 0;
}
