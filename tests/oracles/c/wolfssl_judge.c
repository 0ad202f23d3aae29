/* wolfSSL as a judge; see judge.h. Debian's build verifies nobody until it is told to. */

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include "judge.h"

static void must(int result, const char *what) {
    if (result != WOLFSSL_SUCCESS)
        broken("wolfSSL refuses", what);
}

/* wolfSSL compares addresses as text, and spells an IPv6 address in full and in capitals. */
static void expect(WOLFSSL *tls, const char *name) {
    unsigned char at[16];
    char full[40];
    const char *address = name;
    if (inet_pton(AF_INET6, name, at) == 1) {
        snprintf(full, sizeof full, "%02X%02X:%02X%02X:%02X%02X:%02X%02X:%02X%02X:%02X%02X:%02X%02X:%02X%02X", at[0],
                 at[1], at[2], at[3], at[4], at[5], at[6], at[7], at[8], at[9], at[10], at[11], at[12], at[13], at[14],
                 at[15]);
        address = full;
    } else if (inet_pton(AF_INET, name, at) != 1) {
        must(wolfSSL_check_domain_name(tls, name), name);
        return;
    }
    must(wolfSSL_X509_VERIFY_PARAM_set1_ip_asc(wolfSSL_get0_param(tls), address), address);
}

static int accepts(int connection, const struct question *question, char *why, size_t room) {
    WOLFSSL_CTX *settings = wolfSSL_CTX_new(question->of_server ? wolfSSLv23_client_method() : wolfSSLv23_server_method());
    if (settings == NULL)
        broken("wolfSSL", "no memory");
    must(wolfSSL_CTX_load_verify_locations(settings, question->trusted, NULL), question->trusted);
    wolfSSL_CTX_set_verify(settings, WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (!question->of_server) {
        must(wolfSSL_CTX_use_certificate_chain_file(settings, question->own_chain), question->own_chain);
        must(wolfSSL_CTX_use_PrivateKey_file(settings, question->own_key, WOLFSSL_FILETYPE_PEM), question->own_key);
    }
    WOLFSSL *tls = wolfSSL_new(settings);
    if (tls == NULL)
        broken("wolfSSL", "no connection");
    must(wolfSSL_set_fd(tls, connection), "socket");
    if (question->of_server)
        expect(tls, question->name);

    int result = question->of_server ? wolfSSL_connect(tls) : wolfSSL_accept(tls);
    if (result != WOLFSSL_SUCCESS) {
        char words[WOLFSSL_MAX_ERROR_SZ];
        wolfSSL_ERR_error_string((unsigned long)wolfSSL_get_error(tls, result), words);
        snprintf(why, room, "%s", words);
    } else {
        wolfSSL_shutdown(tls);
    }
    wolfSSL_free(tls);
    wolfSSL_CTX_free(settings);
    return result == WOLFSSL_SUCCESS;
}
