/* What the small TLS clients have in common. Arguments: address, port. Standard input: one question a line, with tabs:
 *
 *     purpose  name  trusted root  own chain  own key
 *
 * For each, one connection. A peer that is judged as a "server" is connected to and must be called by the name; one that
 * is judged as a "client" is asked for its certificate, by us as its server. Prints "accepted" or "refused: why". What
 * goes wrong besides ends the program with 2: it is no verdict. */

#ifndef JUDGE_H
#define JUDGE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct question {
    int of_server;
    const char *name, *trusted, *own_chain, *own_key;
};

/* One handshake over a connected socket; on a refusal, the reason in `why`. Each program has its own. */
static int accepts(int connection, const struct question *question, char *why, size_t room);

static void broken(const char *what, const char *detail) {
    fprintf(stderr, "%s: %s\n", what, detail);
    exit(2);
}

static int connected(const char *address, const char *port) {
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
    int connection = socket(AF_INET, SOCK_STREAM, 0);
    if (connection < 0 || inet_pton(AF_INET, address, &target.sin_addr) != 1 ||
        connect(connection, (struct sockaddr *)&target, sizeof target) != 0)
        broken("cannot connect", address);
    return connection;
}

static const char *field(char **line) {
    char *found = strsep(line, "\t\n");
    if (found == NULL)
        broken("a question with too few fields", "");
    return found;
}

int main(int count, char **arguments) {
    char line[4096], why[1024];
    if (count != 3)
        broken("arguments", "ADDRESS PORT");
    signal(SIGPIPE, SIG_IGN);
    while (fgets(line, sizeof line, stdin) != NULL) {
        char *rest = line;
        struct question question = {.of_server = strcmp(field(&rest), "server") == 0};
        question.name = field(&rest);
        question.trusted = field(&rest);
        question.own_chain = field(&rest);
        question.own_key = field(&rest);
        int connection = connected(arguments[1], arguments[2]);
        why[0] = '\0';
        if (accepts(connection, &question, why, sizeof why))
            puts("accepted");
        else
            printf("refused: %s\n", why);
        fflush(stdout);
        close(connection);
    }
    return 0;
}

#endif
