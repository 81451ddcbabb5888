// The store in a real browser: buying, paying, and dying in between.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { openPage, startBrowser, startStore, until } from "./harness.js";

let browser;
let store;
let page;

before(async () => (browser = await startBrowser()));
after(() => browser.stop());
beforeEach(async () => {
  store = await startStore();
  page = await openPage(browser, store);
});
afterEach(async () => {
  const { faults } = page;
  await page.close();
  await store.stop();
  assert.deepEqual(faults, []);
});

const part = (id) => page.getByTestId(id);
const post = (path, body) => fetch(store.url + path, { method: "POST", body: body && JSON.stringify(body) });
const json = async (path) => (await fetch(store.url + path)).json();

async function buyAndPay() {
  await part("buy").click();
  await part("pay-confirm").click();
  await part("order-view").waitFor();
}

const reaches = (status) => page.locator(`[data-testid=order-view][data-status=${status}]`).waitFor({ timeout: 30_000 });

/** What must be so after one sale, on the page and in the store. */
async function soldOne() {
  await until(async () => (await part("inventory").textContent()) === "99");
  assert.equal(await part("invariant").getAttribute("data-holds"), "true");
  assert.match(await part("applied-twice").textContent(), /applied twice: 0/);
  assert.equal(await page.locator("[data-testid=orders] > li").count(), 1);
  assert.equal((await json("/product")).inventory, 99);
  assert.equal((await json("/orders")).length, 1);
}

test("an order survives a crash while it ships", async () => {
  await buyAndPay();
  await until(async () => Number(await page.locator("[data-order='1']").getAttribute("data-progress")) < 8);
  const pid = await part("pid").getAttribute("data-pid");
  await part("crash").click();
  await part("crash-banner").waitFor();
  await until(async () => (await part("pid").getAttribute("data-pid")) !== pid);
  await page.locator("[data-testid=connection][data-state=connected]").waitFor();
  assert.match(await part("crash-banner").textContent(), /by kill -9.*dispatch_order.*Restarted in/);
  await page.locator("[data-testid=steps] .crash").first().waitFor();
  await reaches("dispatched");
  await soldOne();
  assert.equal(await part("crashes").getAttribute("data-crashes"), "1");
});

test("a transaction that is cut in the middle counts once", async () => {
  await part("mode-transaction").check();
  await part("crash").click();
  await part("crash-note").waitFor();
  await buyAndPay();
  await soldOne();
  assert.equal(await part("crashes").getAttribute("data-crashes"), "1");
  assert.match(await part("crash-banner").textContent(), /in the middle of a transaction/);
});

test("the chaos goes on until it is stopped", async () => {
  await part("mode-chaos").check();
  await part("crash").click();
  await part("calm").waitFor();
  await buyAndPay();
  await reaches("dispatched");
  await part("calm").click();
  await part("calm").waitFor({ state: "hidden" });
  await soldOne();
  assert.ok(Number(await part("crashes").getAttribute("data-crashes")) >= 1);
});

test("five webhooks and a double click make one sale", async () => {
  await part("buy").dblclick();
  await part("pay-5x").click();
  await reaches("paid");
  assert.match(await part("note").textContent(), /5 answers, all for order #1/);
  await soldOne();
});

test("a declined payment is cancelled and restocked", async () => {
  await part("buy").click();
  await part("pay-decline").click();
  await reaches("cancelled");
  await until(async () => (await part("inventory").textContent()) === "100");
  assert.equal(await part("invariant").getAttribute("data-holds"), "true");
});

test("without stock the shop says so, and the key is renewed", async () => {
  await Promise.all(Array.from({ length: 100 }, (_, n) => post(`/checkout/key-${n}`)));
  await until(async () => (await part("inventory").textContent()) === "0");
  page.expected = /404 \(Not Found\)/;
  const key = await part("key").textContent();
  await part("buy").click();
  await until(async () => /Checkout failed to start/.test(await part("note").textContent()));
  assert.notEqual(await part("key").textContent(), key);
  await part("restock").click();
  await until(async () => (await part("inventory").textContent()) === "100");
  await part("buy").click();
  await part("payment").waitFor();
  assert.equal(await part("invariant").getAttribute("data-holds"), "true");
});

test("the address is the view, also after a reload", async () => {
  await buyAndPay();
  assert.match(page.url(), /\?order=1$/);
  await page.reload();
  await reaches("paid");
  page.expected = /404 \(Not Found\)/;
  await page.goto(`${store.url}/?order=77`);
  await reaches("missing");
  assert.match(await part("order-view").textContent(), /There is no order “77”/);
});

test("a narrow page needs no sideways scrolling", async () => {
  await page.setViewportSize({ width: 360, height: 800 });
  await buyAndPay();
  await part("crash").click();
  await part("crash-banner").waitFor();
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 360, `the page is ${width} px wide`);
});
