"""What SenseNova's own library 1.0.6 does, unchanged: run in an environment of its own, for it wants an old PyJWT and evaluates answers.

python sensenova_client.py URL     prints what it saw, as JSON
"""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import sensenova

CONTENT = {"text_lst": ["ALM-1 is class T"], "qa_lst": []}


def main(url: str) -> dict[str, Any]:
    sensenova.access_key_id, sensenova.secret_access_key = "AK", "SK"
    sensenova.api_base, sensenova.api_base_file = f"{url}/v1", f"{url}/files/v1"
    file = sensenova.File.create(io.StringIO(json.dumps(CONTENT)), scheme="KNOWLEDGE_BASE_1", description="x")["id"]
    states = [sensenova.File.retrieve(file)["file"]["status"] for _ in range(3)]
    pdf = sensenova.File.create(io.BytesIO(b"%PDF-"), scheme="KNOWLEDGE_BASE_2", description="x")["id"]
    of_pdf = [sensenova.File.retrieve(pdf)["file"]["status"] for _ in range(3)]
    base = sensenova.KnowledgeBase.create(description="alarms", files=[file])["knowledge_base"]["id"]
    ready = [sensenova.KnowledgeBase.retrieve(id=base)["knowledge_base"]["status"] for _ in range(3)]
    messages = [{"role": "user", "content": "ALM-1?"}]
    stream = sensenova.ChatCompletion.create(model="m", messages=messages, stream=True, know_ids=[base])
    text = "".join(choice["delta"] for part in stream for choice in part["data"]["choices"])
    listed = [one["id"] for one in sensenova.File.list()["files"]]
    sensenova.KnowledgeBase.delete(sid=base)
    sensenova.File.delete(id=file)
    return {"states": states, "of_pdf": of_pdf, "base": ready, "text": text, "listed": listed}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))  # noqa: T201 - its result
