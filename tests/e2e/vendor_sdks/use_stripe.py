"""Stripe's own library, unmodified: a step a word, what came of each as one JSON document."""

import io
import json
import os
import sys

import stripe


def client(**more):
    base = os.environ["BASE_URL"]
    return stripe.StripeClient(os.environ["API_KEY"], base_addresses={"api": base, "files": base}, **more)


usual = client(max_network_retries=2)


def pay():
    intent = usual.v1.payment_intents.create({"amount": 1099, "currency": "eur", "metadata": {"order": "7"}})
    return {"amount": intent.amount, "currency": intent.currency, "secret": intent.client_secret}


def twice():
    made = [
        usual.v1.payment_intents.create({"amount": 500, "currency": "eur"}, {"idempotency_key": "order-8"}).id
        for _ in range(2)
    ]
    return {"same": made[0] == made[1]}


def upload():
    paper = io.BytesIO(b"%PDF" + os.urandom(200_000))
    paper.name = "evidence.pdf"
    return {"size": usual.v1.files.create({"purpose": "dispute_evidence", "file": paper}).size}


def refund():
    return {"id": usual.v1.refunds.create({"payment_intent": "pi_1"}).id}


def customer():
    return {"id": usual.v1.payment_intents.create({"amount": 1, "currency": "eur", "customer": "cus_1"}).id}


def for_another():
    made = usual.v1.payment_intents.create({"amount": 1, "currency": "eur"}, {"stripe_account": "acct_1"})
    return {"id": made.id}


def timeout():
    impatient = client(max_network_retries=0, http_client=stripe.RequestsClient(timeout=0.5))
    return {"id": impatient.v1.payment_intents.create({"amount": 1, "currency": "eur"}).id}


def run(step):
    try:
        return globals()[step]()
    except stripe.StripeError as error:
        return {"raised": type(error).__name__, "status": error.http_status}


print(json.dumps({step: run(step) for step in sys.argv[1:]}))
