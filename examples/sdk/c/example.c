/*
 * A C program with the Assay SDK: a token, a token bound to a user's session, one fetched without waiting, what to do
 * with a gateway's answers, and a new device key.
 *
 *   ./example https://attest.example.com/assay/v1 shop 3.2.0 /var/lib/shop/assay
 *
 * Register the program first: assay app register ./example --name shop --version 3.2.0
 * A real program never prints a token; --show-tokens is for trying the example out.
 */
#define _POSIX_C_SOURCE 200112L

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "assay.h"

static int show_tokens;

static void print_token(const char *name, const assay_outcome *outcome)
{
    const char *token = assay_outcome_token(outcome);
    if (token != NULL)
        printf("%s: %s\n", name, show_tokens ? token : "(fetched)");
}

/* An outcome without a token ends this program; an app would go on, and say so where it matters. */
static int failed(const assay_outcome *outcome)
{
    if (assay_outcome_token(outcome) != NULL)
        return 0;
    fprintf(stderr, "no token: %s: %s\n", assay_status_name(assay_outcome_status(outcome)), assay_outcome_error(outcome));
    return 1;
}

/* Where the callback of assay_fetch_token_async leaves its outcome. */
struct mailbox {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    assay_outcome *outcome;
};

static void fetched(void *user, assay_outcome *outcome)
{
    struct mailbox *mailbox = user;
    pthread_mutex_lock(&mailbox->lock);
    mailbox->outcome = outcome;
    pthread_cond_signal(&mailbox->arrived);
    pthread_mutex_unlock(&mailbox->lock);
}

/* Starts a fetch, would do other things, and then waits for it. */
static int fetch_without_waiting(const assay_client *client)
{
    struct mailbox mailbox = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL};
    assay_code code = assay_fetch_token_async(client, NULL, 0, fetched, &mailbox);
    if (code != ASSAY_OK) {
        fprintf(stderr, "not started: %s\n", assay_code_name(code));
        return 1;
    }
    pthread_mutex_lock(&mailbox.lock);
    while (mailbox.outcome == NULL)
        pthread_cond_wait(&mailbox.arrived, &mailbox.lock);
    pthread_mutex_unlock(&mailbox.lock);
    int bad = failed(mailbox.outcome);
    print_token("token told later", mailbox.outcome);
    assay_outcome_free(mailbox.outcome);
    return bad;
}

/* What an HTTP client does with the answer to a request that carried this token. */
static int answer_came(const assay_client *client, const assay_outcome *outcome)
{
    static const char body[] = "{\"type\":\"about:blank\",\"status\":401,\"code\":\"attestation_required\"}";
    uint64_t wait_ms = 0;
    switch (assay_react(client, outcome, 401, (const uint8_t *)body, strlen(body), NULL, &wait_ms)) {
    case ASSAY_REACTION_RETRY: {
        printf("after 401: RETRY\n");
        assay_outcome *again = assay_fetch_token(client, NULL, 0);
        int bad = failed(again);
        print_token("token after 401", again); /* send the same request with it, once */
        assay_outcome_free(again);
        return bad;
    }
    case ASSAY_REACTION_WAIT:
        printf("after 401: WAIT %llu ms\n", (unsigned long long)wait_ms);
        return 0;
    default:
        printf("after 401: the answer is for the app\n");
        return 0;
    }
}

static int use(const assay_client *client)
{
    assay_outcome *outcome = assay_fetch_token(client, NULL, 0);
    printf("status: %s\n", assay_status_name(assay_outcome_status(outcome)));
    if (failed(outcome)) {
        assay_outcome_free(outcome);
        return 1;
    }
    print_token("token", outcome); /* the Assay-Token header of each request */

    static const char session[] = "Bearer alice"; /* the Authorization header of the same request */
    assay_bytes bound_to = {(const uint8_t *)session, strlen(session)};
    assay_outcome *bound = assay_fetch_token(client, &bound_to, 1);
    int bad = failed(bound);
    print_token("bound token", bound);
    assay_outcome_free(bound);

    bad |= fetch_without_waiting(client);
    bad |= answer_came(client, outcome);
    assay_outcome_free(outcome);

    /* Once in a long while: a new device key. The old one vouches for it, so that the device stays the same. */
    assay_outcome *renewed = assay_rotate_device_key(client);
    bad |= failed(renewed);
    print_token("renewed token", renewed);
    assay_outcome_free(renewed);
    return bad;
}

static int check(assay_code code, const char *what)
{
    if (code != ASSAY_OK)
        fprintf(stderr, "%s: %s\n", what, assay_code_name(code));
    return code != ASSAY_OK;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: example SERVICE_URL APP VERSION STORAGE [--show-tokens]\n");
        return 2;
    }
    show_tokens = argc > 5 && strcmp(argv[5], "--show-tokens") == 0;
    if (assay_abi_version() != ASSAY_ABI_VERSION) {
        fprintf(stderr, "libassay_sdk has another ABI: %u\n", (unsigned)assay_abi_version());
        return 1;
    }

    assay_builder *builder = NULL;
    if (check(assay_builder_new(argv[1], argv[2], argv[3], &builder), "builder"))
        return 1;
    int bad = check(assay_builder_storage(builder, argv[4]), "storage");
    bad |= check(assay_builder_device_fact(builder, "model", "example"), "fact");

    char error[256];
    assay_client *client = NULL;
    if (!bad && assay_client_new(builder, &client, error, sizeof error) != ASSAY_OK) {
        fprintf(stderr, "no client: %s\n", error);
        bad = 1;
    }
    assay_builder_free(builder);
    if (!bad)
        bad = use(client);
    assay_client_free(client);
    if (!bad)
        printf("done\n");
    return bad;
}
