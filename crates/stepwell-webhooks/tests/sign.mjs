// Signs deliveries with the providers' own libraries. The output is `tests/it/signed.json`:
//
//     npm install stripe@23 @octokit/webhooks-methods@6 standardwebhooks@1
//     node sign.mjs > it/signed.json
import { sign } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";

const secret = "c2VjcmV0";
const at = 1700000000;
const bodies = ['{"id":"evt_1","type":"paid"}', '{"id": "evt_2", "name": "Zoë ☂"}\n'];
const stripe = new Stripe("sk_test_none");

const deliveries = [];
for (const body of bodies) {
  deliveries.push({
    provider: "stripe",
    body,
    headers: {
      "stripe-signature": stripe.webhooks.generateTestHeaderString({
        payload: body,
        secret,
        timestamp: at,
      }),
    },
  });
  deliveries.push({
    provider: "github",
    body,
    headers: {
      "x-hub-signature-256": await sign(secret, body),
      "x-github-delivery": "72d3162e",
      "x-github-event": "push",
    },
  });
  deliveries.push({
    provider: "webhook",
    body,
    headers: {
      "webhook-id": "msg_1",
      "webhook-timestamp": String(at),
      "webhook-signature": new Webhook(secret).sign("msg_1", new Date(at * 1000), body),
    },
  });
}
console.log(JSON.stringify(deliveries, null, 2));
