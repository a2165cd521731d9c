"""Ask for probabilities, rank, and say what was clicked:  python docs/examples/predict.py http://127.0.0.1:8000"""

import sys

from service.client import Client, DeadlineExceeded, Refused, Unavailable

CONTEXT = {"user_id": "42", "gender": "M", "age": 25, "occupation": 4, "zip_code": "94110"}
ITEMS = [1, 2, 3]
DEADLINE_MS = float(sys.argv[2]) if len(sys.argv) > 2 else 500.0  # what the page can spare

# One client per process, shared by its threads: it keeps connections open between calls.
with Client(sys.argv[1], deadline_ms=DEADLINE_MS) as client:
    for _ in range(3):
        try:
            answer = client.predict(unit="user-42", context=CONTEXT, items=ITEMS)
        except Refused as error:  # the request is wrong: error.problem says which field
            sys.exit(f"mend the request: {error}")
        except (Unavailable, DeadlineExceeded) as error:  # rank by what you have, do not make the user wait
            print("no probabilities:", error)
            continue
        ranked = sorted(zip(answer.probabilities, ITEMS, strict=True), reverse=True)
        print(answer.model, ranked)
        try:
            client.feedback([answer.event("impression", item=2), answer.event("click", item=2)])
        except (Unavailable, DeadlineExceeded) as error:
            print("keep the events and send them again later:", error)
