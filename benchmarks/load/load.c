/* A load client for MQTT servers over TLS, cheaper than the servers it measures: one thread, one epoll loop.
 *
 *   load connect|resume|idle|messages|latency --port N --ca FILE --credentials FILE ...
 *
 * The credentials are lines of client id, user name and password between tabs; they are used in turn. It prints one
 * line of JSON. `idle` prints it when all are connected and then waits for its standard input to end.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "connection.h"

static struct {
    const char *host, *ca, *credentials, *topic, *filter;
    int port, count, parallel, senders, receivers, qos, size, window, tls12;
    double rate, seconds;
    long messages;
} want = {.host = "127.0.0.1", .count = 1000, .parallel = 10, .senders = 1, .receivers = 1, .size = 100,
          .window = 500, .rate = 500, .seconds = 10, .messages = 100000};

static struct credential *known;
static size_t how_many;
static int epoll;
static SSL_CTX *context;
static SSL_SESSION *kept;
static long failed, finished;
static double *latencies;
static size_t latency_count;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what) {
    fprintf(stderr, "load: %s\n", what);
    exit(3);
}

static void read_credentials(void) {
    FILE *file = fopen(want.credentials, "r");
    if (!file) die("cannot read the credentials");
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, file) > 0) {
        known = realloc(known, (how_many + 1) * sizeof *known);
        char *rest = line, *id = strsep(&rest, "\t\n"), *user = strsep(&rest, "\t\n"), *word = strsep(&rest, "\t\n");
        known[how_many++] = (struct credential){strdup(id), strdup(user ? user : ""), strdup(word ? word : "")};
    }
    fclose(file);
    if (!how_many) die("no credentials");
}

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    (void)ssl;
    if (kept) SSL_SESSION_free(kept);
    kept = session;
    return 1;
}

static void watch(struct connection *c, int operation) {
    struct epoll_event event = {.events = EPOLLIN | (c->wants_write || waiting_out(c) ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll, operation, c->fd, &event);
}

static void start(struct connection *c, size_t number, const char *filter) {
    memset(c, 0, sizeof *c);
    c->credential = &known[number % how_many];
    c->filter = filter;
    c->qos = want.qos;
    /* a copy each: OpenSSL lets a TLS 1.3 session be used once */
    SSL_SESSION *copy = kept ? SSL_SESSION_dup(kept) : NULL;
    if (connection_open(c, context, copy, want.host, want.port)) die("cannot connect");
    SSL_SESSION_free(copy);
    watch(c, EPOLL_CTL_ADD);
}

static void nothing(struct connection *c, uint8_t first, const uint8_t *body, size_t length) {
    (void)c, (void)first, (void)body, (void)length;
}

/* N connections, `parallel` at a time, each until CONNACK. */
static void connects(int resume) {
    struct connection *slots = calloc(want.parallel, sizeof *slots);
    long started = 0;
    if (resume) { /* one full handshake gives the session; TLS 1.3 sends it after CONNACK at the latest */
        struct connection first;
        start(&first, 0, NULL);
        while (first.state != READY || !kept) {
            struct epoll_event event;
            epoll_wait(epoll, &event, 1, 5000);
            if (connection_go_on(&first, nothing)) die("the first connection failed");
            watch(&first, EPOLL_CTL_MOD);
        }
        connection_close(&first);
        SSL_CTX_sess_set_new_cb(context, NULL);
    }
    double begun = now(), used = cpu();
    long reused = 0;
    for (int i = 0; i < want.parallel && started < want.count; i++) start(&slots[i], started++, NULL);
    while (finished + failed < want.count) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, 10000);
        if (n <= 0) break;
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            int over = connection_go_on(c, nothing);
            if (!over && c->state != READY) {
                watch(c, EPOLL_CTL_MOD);
                continue;
            }
            if (over) failed++;
            else finished++;
            if (!over && SSL_session_reused(c->ssl)) reused++;
            connection_close(c);
            free(c->in);
            free(c->out);
            if (started < want.count) start(c, started++, NULL);
        }
    }
    printf("{\"count\": %ld, \"failed\": %ld, \"resumed\": %ld, \"seconds\": %.6f, \"cpu\": %.6f}\n", finished, failed,
           reused, now() - begun, cpu() - used);
}

/* N connections that stay. */
static void idle(void) {
    struct connection *all = calloc(want.count, sizeof *all);
    long started = 0, open = 0;
    double begun = now();
    while (open < want.count) {
        while (started < want.count && started - open - failed < want.parallel) start(&all[started], started, NULL), started++;
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, 10000);
        if (n <= 0) break;
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            enum state before = c->state;
            if (connection_go_on(c, nothing)) die("a connection was refused");
            watch(c, EPOLL_CTL_MOD);
            if (before != READY && c->state == READY) open++;
        }
    }
    printf("{\"count\": %ld, \"seconds\": %.6f}\n", open, now() - begun);
    fflush(stdout);
    while (getchar() != EOF) {}
}

static struct connection *senders, *receivers;
static double last_arrival;
static uint64_t arrived;

static void took(struct connection *c, uint8_t first, const uint8_t *body, size_t length) {
    if (first >> 4 != 3) return;
    size_t name = body[0] << 8 | body[1];
    int qos = first >> 1 & 3;
    if (qos) send_puback(c, body + 2 + name);
    arrived++;
    const uint8_t *payload = body + 2 + name + (qos ? 2 : 0);
    if (latencies && length >= 2 + name + 8) {
        double sent;
        memcpy(&sent, payload, sizeof sent);
        latencies[latency_count++] = now() - sent;
    }
}

static void wait_ready(struct connection *all, int n) {
    for (int i = 0; i < n; i++)
        while (all[i].state != READY) {
            struct epoll_event event;
            epoll_wait(epoll, &event, 1, 5000);
            if (connection_go_on(&all[i], took)) die("a connection was refused");
            watch(&all[i], EPOLL_CTL_MOD);
        }
}

/* As much as the window (QoS 1) or 64 KiB of output (QoS 0) lets out. */
static void fill(struct connection *c, long limit, const char *topic, const uint8_t *payload) {
    while ((long)c->sent < limit && waiting_out(c) < 65536) {
        if (want.qos && c->sent - c->acknowledged >= (uint64_t)want.window) break;
        send_publish(c, topic, payload, want.size, want.qos);
    }
}

static void topic_of(const struct connection *c, char *topic, size_t size) {
    /* %s in the topic is the client id */
    const char *mark = strstr(want.topic, "%s");
    if (!mark) snprintf(topic, size, "%s", want.topic);
    else snprintf(topic, size, "%.*s%s%s", (int)(mark - want.topic), want.topic, c->credential->client_id, mark + 2);
}

static int step(int timeout) {
    struct epoll_event events[256];
    int n = epoll_wait(epoll, events, 256, timeout);
    for (int i = 0; i < n; i++) {
        struct connection *c = events[i].data.ptr;
        if (connection_go_on(c, took)) die("a connection ended");
    }
    for (int i = 0; i < n; i++) watch(events[i].data.ptr, EPOLL_CTL_MOD);
    return n;
}

static uint64_t all_acknowledged(void) {
    uint64_t sum = 0;
    for (int i = 0; i < want.senders; i++) sum += senders[i].acknowledged;
    return sum;
}

static void messages(void) {
    char topic[512];
    uint8_t payload[65536] = {0};
    long each = want.messages / want.senders;
    double begun = now(), used = cpu();
    uint64_t total = (uint64_t)each * want.senders, wanted = total * want.receivers, acknowledged;
    last_arrival = begun;
    for (;;) {
        uint64_t before = arrived;
        acknowledged = all_acknowledged();
        for (int i = 0; i < want.senders; i++) {
            topic_of(&senders[i], topic, sizeof topic);
            fill(&senders[i], each, topic, payload);
            if (connection_go_on(&senders[i], took)) die("a sender's connection ended");
            watch(&senders[i], EPOLL_CTL_MOD);
        }
        uint64_t acknowledged_before = acknowledged;
        acknowledged = all_acknowledged();
        /* what came while we wrote has made room in a window: there is something to do before anybody speaks again */
        step(acknowledged != acknowledged_before ? 0 : 100);
        acknowledged = all_acknowledged();
        if (arrived != before || acknowledged != acknowledged_before) last_arrival = now();
        if (arrived >= wanted && (!want.qos || acknowledged >= total)) break;
        if (now() - last_arrival > 3) break;
    }
    printf("{\"sent\": %lu, \"acknowledged\": %lu, \"received\": %lu, \"seconds\": %.6f, \"cpu\": %.6f}\n",
           (unsigned long)total, (unsigned long)acknowledged, (unsigned long)arrived, last_arrival - begun, cpu() - used);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void latency(void) {
    char topic[512];
    uint8_t payload[65536] = {0};
    long total = want.rate * want.seconds, sent = 0;
    latencies = calloc(total * want.receivers + 1, sizeof *latencies);
    double begun = now();
    while (arrived < (uint64_t)total && now() - begun < want.seconds + 5) {
        double at = now();
        while (sent < total && begun + sent / want.rate <= at) {
            double stamp = now();
            memcpy(payload, &stamp, sizeof stamp);
            topic_of(&senders[0], topic, sizeof topic);
            send_publish(&senders[0], topic, payload, want.size, want.qos);
            sent++;
            if (connection_go_on(&senders[0], took)) die("the sender's connection ended");
            watch(&senders[0], EPOLL_CTL_MOD);
        }
        step(1);
    }
    qsort(latencies, latency_count, sizeof *latencies, by_size);
    if (!latency_count) die("nothing arrived");
    printf("{\"count\": %zu, \"p50\": %.9f, \"p99\": %.9f, \"max\": %.9f}\n", latency_count, latencies[latency_count / 2],
           latencies[latency_count * 99 / 100], latencies[latency_count - 1]);
}

static void open_both(void) {
    senders = calloc(want.senders, sizeof *senders);
    receivers = calloc(want.receivers + 1, sizeof *receivers);
    for (int i = 0; i < want.receivers; i++) start(&receivers[i], i, want.filter);
    wait_ready(receivers, want.receivers);
    for (int i = 0; i < want.senders; i++) start(&senders[i], want.receivers + i, NULL);
    wait_ready(senders, want.senders);
}

static void options(int argc, char **argv) {
    static const struct option all[] = {
        {"host", 1, 0, 'h'},      {"port", 1, 0, 'p'},     {"ca", 1, 0, 'a'},        {"credentials", 1, 0, 'c'},
        {"count", 1, 0, 'n'},     {"parallel", 1, 0, 'l'}, {"senders", 1, 0, 's'},   {"receivers", 1, 0, 'r'},
        {"qos", 1, 0, 'q'},       {"size", 1, 0, 'z'},     {"window", 1, 0, 'w'},    {"rate", 1, 0, 'R'},
        {"seconds", 1, 0, 'S'},   {"messages", 1, 0, 'm'}, {"topic", 1, 0, 't'},     {"filter", 1, 0, 'f'},
        {"tls12", 0, 0, '2'},     {0, 0, 0, 0}};
    for (int o; (o = getopt_long(argc, argv, "", all, NULL)) != -1;) switch (o) {
            case 'h': want.host = optarg; break;
            case 'p': want.port = atoi(optarg); break;
            case 'a': want.ca = optarg; break;
            case 'c': want.credentials = optarg; break;
            case 'n': want.count = atoi(optarg); break;
            case 'l': want.parallel = atoi(optarg); break;
            case 's': want.senders = atoi(optarg); break;
            case 'r': want.receivers = atoi(optarg); break;
            case 'q': want.qos = atoi(optarg); break;
            case 'z': want.size = atoi(optarg); break;
            case 'w': want.window = atoi(optarg); break;
            case 'R': want.rate = atof(optarg); break;
            case 'S': want.seconds = atof(optarg); break;
            case 'm': want.messages = atol(optarg); break;
            case 't': want.topic = optarg; break;
            case 'f': want.filter = optarg; break;
            case '2': want.tls12 = 1; break;
            default: exit(2);
        }
    if (!want.port || !want.ca || !want.credentials) die("--port, --ca and --credentials are needed");
}

int main(int argc, char **argv) {
    if (argc < 2) die("connect, resume, idle, messages or latency?");
    const char *mode = argv[1];
    options(argc - 1, argv + 1);
    signal(SIGPIPE, SIG_IGN);
    struct rlimit files = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_NOFILE, &files);
    read_credentials();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    if (!SSL_CTX_load_verify_locations(context, want.ca, NULL)) die("cannot read the root");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    if (want.tls12) SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    if (!strcmp(mode, "connect")) {
        connects(0);
    } else if (!strcmp(mode, "resume")) {
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context, keep_session);
        connects(1);
    } else if (!strcmp(mode, "idle")) {
        idle();
    } else {
        open_both();
        if (!strcmp(mode, "messages")) messages();
        else if (!strcmp(mode, "latency")) latency();
        else die("no such mode");
    }
    return 0;
}
