"""Traffic in miniature, for guides: 100 users, five of twenty items shown, a click on every fifth.

python docs/examples/traffic.py http://127.0.0.1:8000
"""

import random
import sys

from service.client import Client

CONTEXT = {"user_id": "42", "gender": "F", "age": 25, "occupation": 4, "zip_code": "94110"}

with Client(sys.argv[1], deadline_ms=20_000) as client:
    for visit in range(300):
        items = random.sample(range(1, 31), 20)
        answer = client.predict(unit=f"user-{visit % 100}", context=CONTEXT, items=items)
        shown = [item for _, item in sorted(zip(answer.probabilities, items, strict=True), reverse=True)[:5]]
        clicked = [item for item in shown if random.random() < 0.2]
        impressions = [answer.event("impression", item=item) for item in shown]
        client.feedback(impressions + [answer.event("click", item=item) for item in clicked])
print("300 visits of 100 users")
