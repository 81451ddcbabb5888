// Signs deliveries with the providers' own libraries: a JSON object in each line, the headers out.
import { createInterface } from "node:readline";

import { sign } from "@octokit/webhooks-methods";
import { Webhook } from "standardwebhooks";
import Stripe from "stripe";

const stripe = new Stripe("sk_test_none");

const signers = {
  stripe: ({ secret, at, body }) => ({
    "stripe-signature": stripe.webhooks.generateTestHeaderString({
      payload: body,
      secret,
      timestamp: at,
    }),
  }),
  github: async ({ secret, id, kind, body }) => ({
    "x-hub-signature-256": await sign(secret, body),
    "x-github-delivery": id,
    "x-github-event": kind,
  }),
  standard: ({ secret, id, at, body }) => ({
    "webhook-id": id,
    "webhook-timestamp": String(at),
    "webhook-signature": new Webhook(secret).sign(id, new Date(at * 1000), body),
  }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const delivery = JSON.parse(line);
  console.log(JSON.stringify(await signers[delivery.provider](delivery)));
}
