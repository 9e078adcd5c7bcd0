"""Anthropic's own library, unmodified: a step a word, what came of each as one JSON document."""

import json
import os
import sys

import anthropic

client = anthropic.Anthropic(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], timeout=30, max_retries=2)
ASKED = {"model": "claude-haiku-4-5", "max_tokens": 64, "messages": [{"role": "user", "content": "Say it."}]}


def message():
    answer = client.messages.create(**ASKED)
    return {"text": answer.content[0].text, "tokens": answer.usage.input_tokens + answer.usage.output_tokens}


def stream():
    with client.messages.stream(**ASKED) as events:
        pieces = list(events.text_stream)
        usage = events.get_final_message().usage
    return {"text": "".join(pieces), "pieces": len(pieces), "tokens": usage.input_tokens + usage.output_tokens}


def count():
    counted = client.messages.count_tokens(model=ASKED["model"], messages=ASKED["messages"])
    return {"tokens": counted.input_tokens}


def tools():
    search = {"type": "web_search_20250305", "name": "web_search"}
    return {"id": client.messages.create(**ASKED, tools=[search]).id}


def timeout():
    return {"id": client.with_options(timeout=0.5, max_retries=0).messages.create(**ASKED).id}


def run(step):
    try:
        return globals()[step]()
    except anthropic.APIStatusError as error:
        return {"raised": type(error).__name__, "status": error.status_code}
    except anthropic.AnthropicError as error:
        return {"raised": type(error).__name__}


print(json.dumps({step: run(step) for step in sys.argv[1:]}))
