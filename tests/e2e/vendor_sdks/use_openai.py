"""OpenAI's own library, unmodified: a step a word, what came of each as one JSON document."""

import io
import json
import os
import sys

import openai

client = openai.OpenAI(base_url=os.environ["BASE_URL"] + "/v1", api_key=os.environ["API_KEY"], timeout=30, max_retries=2)
MODEL = "gpt-4o-mini"
QUESTION = [{"role": "user", "content": "Say it."}]


def chat():
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION)
    return {"text": answer.choices[0].message.content, "tokens": answer.usage.total_tokens}


def stream():
    text, pieces, tokens = "", 0, None
    for chunk in client.chat.completions.create(model=MODEL, messages=QUESTION, stream=True):
        if chunk.choices and chunk.choices[0].delta.content:
            text += chunk.choices[0].delta.content
            pieces += 1
        if chunk.usage is not None:
            tokens = chunk.usage.total_tokens
    return {"text": text, "pieces": pieces, "tokens": tokens}


def responses():
    with client.responses.stream(model=MODEL, input="Say it.") as events:
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        tokens = events.get_final_response().usage.total_tokens
    return {"text": "".join(deltas), "tokens": tokens}


def embeddings():
    answer = client.embeddings.create(model="text-embedding-3-small", input=["one", "two"])
    return {"vectors": [item.embedding for item in answer.data]}


def upload():
    sound = io.BytesIO(os.urandom(2_000_000))
    sound.name = "said.wav"
    return {"text": client.audio.transcriptions.create(model="whisper-1", file=sound).text}


def files():
    return {"files": [file.id for file in client.files.list()]}


def dearest():
    return client.chat.completions.create(model="gpt-5-pro", messages=QUESTION).model


def timeout():
    return client.with_options(timeout=0.5, max_retries=0).chat.completions.create(model=MODEL, messages=QUESTION).id


def run(step):
    try:
        return globals()[step]()
    except openai.APIStatusError as error:
        return {"raised": type(error).__name__, "status": error.status_code}
    except openai.OpenAIError as error:
        return {"raised": type(error).__name__}


print(json.dumps({step: run(step) for step in sys.argv[1:]}))
