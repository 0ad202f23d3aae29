/* mbedTLS as a judge; see judge.h. Built for 2.28 and for 3. */

#include "judge.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_MAJOR >= 3
#include <psa/crypto.h>
#endif

static mbedtls_entropy_context entropy;
static mbedtls_ctr_drbg_context random_numbers;

static void must(int result, const char *what) {
    char words[200];
    if (result != 0) {
        mbedtls_strerror(result, words, sizeof words);
        broken(what, words);
    }
}

static void start_random(void) {
    static int started;
    if (started++)
        return;
    mbedtls_entropy_init(&entropy);
    mbedtls_ctr_drbg_init(&random_numbers);
    must(mbedtls_ctr_drbg_seed(&random_numbers, mbedtls_entropy_func, &entropy, NULL, 0), "random numbers");
#if MBEDTLS_VERSION_MAJOR >= 3
    must(psa_crypto_init(), "cryptography");
#endif
}

static void load_key(mbedtls_pk_context *key, const char *file) {
#if MBEDTLS_VERSION_MAJOR >= 3
    must(mbedtls_pk_parse_keyfile(key, file, NULL, mbedtls_ctr_drbg_random, &random_numbers), file);
#else
    must(mbedtls_pk_parse_keyfile(key, file, NULL), file);
#endif
}

static void explain(mbedtls_ssl_context *tls, int result, char *why, size_t room) {
    uint32_t flags = mbedtls_ssl_get_verify_result(tls);
    if (flags != 0 && flags != (uint32_t)-1)
        mbedtls_x509_crt_verify_info(why, room, "", flags);
    else
        mbedtls_strerror(result, why, room);
    for (char *at = why; *at; at++)
        if (*at == '\n')
            *at = at[1] ? ';' : '\0';
}

static int accepts(int connection, const struct question *question, char *why, size_t room) {
    mbedtls_ssl_config settings;
    mbedtls_ssl_context tls;
    mbedtls_x509_crt trusted, own;
    mbedtls_pk_context key;
    mbedtls_net_context peer = {.fd = connection};
    int role = question->of_server ? MBEDTLS_SSL_IS_CLIENT : MBEDTLS_SSL_IS_SERVER;

    start_random();
    mbedtls_ssl_config_init(&settings);
    mbedtls_ssl_init(&tls);
    mbedtls_x509_crt_init(&trusted);
    mbedtls_x509_crt_init(&own);
    mbedtls_pk_init(&key);
    must(mbedtls_ssl_config_defaults(&settings, role, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT), "settings");
    mbedtls_ssl_conf_rng(&settings, mbedtls_ctr_drbg_random, &random_numbers);
    mbedtls_ssl_conf_authmode(&settings, MBEDTLS_SSL_VERIFY_REQUIRED);
    must(mbedtls_x509_crt_parse_file(&trusted, question->trusted), question->trusted);
    mbedtls_ssl_conf_ca_chain(&settings, &trusted, NULL);
    if (!question->of_server) {
        must(mbedtls_x509_crt_parse_file(&own, question->own_chain), question->own_chain);
        load_key(&key, question->own_key);
        must(mbedtls_ssl_conf_own_cert(&settings, &own, &key), "own certificate");
    }
    must(mbedtls_ssl_setup(&tls, &settings), "connection");
    if (question->of_server)
        must(mbedtls_ssl_set_hostname(&tls, question->name), "name");
    mbedtls_ssl_set_bio(&tls, &peer, mbedtls_net_send, mbedtls_net_recv, NULL);

    int result = mbedtls_ssl_handshake(&tls);
    if (result != 0)
        explain(&tls, result, why, room);
    else
        mbedtls_ssl_close_notify(&tls);
    mbedtls_ssl_free(&tls);
    mbedtls_ssl_config_free(&settings);
    mbedtls_x509_crt_free(&trusted);
    mbedtls_x509_crt_free(&own);
    mbedtls_pk_free(&key);
    return result == 0;
}
