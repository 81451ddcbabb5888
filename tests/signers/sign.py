"""Signs deliveries of Stripe with its Python library: a JSON object in each line, the headers out."""

import json
import sys

from stripe import WebhookSignature

for line in sys.stdin:
    delivery = json.loads(line)
    header = WebhookSignature.generate_signature_header(
        payload=delivery["body"], secret=delivery["secret"], timestamp=delivery["at"]
    )
    print(json.dumps({"stripe-signature": header}))
