// Starts a store in a directory of its own, and a browser that watches what the page asks for.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const PROGRAM = process.env.WIDGET_STORE ?? fileURLToPath(new URL("../../../target/debug/widget-store", import.meta.url));
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARGUMENTS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

// What a page may print while there is no server: its requests fail, and it says so itself.
const AWAY = /net::ERR_(CONNECTION_\w+|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING|SOCKET_NOT_CONNECTED)/;

/** Starts the store; `stop` ends it in order. */
export async function startStore() {
  const directory = await mkdtemp(join(tmpdir(), "widget-store-"));
  const program = spawn(PROGRAM, { cwd: directory, env: { ...process.env, PORT: "0", DATABASE_URL: "" }, stdio: ["ignore", "pipe", "inherit"] });
  program.on("error", (error) => {
    throw new Error(`cannot start ${PROGRAM}; run \`cargo build -p widget-store\` first`, { cause: error });
  });
  const [ready] = await once(createInterface(program.stdout), "line");
  return {
    url: ready.match(/http:\S+/)[0],
    async stop() {
      program.kill("SIGTERM");
      await once(program, "exit");
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Starts the browser with a fresh profile. */
export async function startBrowser() {
  const profile = await mkdtemp(join(tmpdir(), "widget-store-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: ARGUMENTS,
    headless: true,
    colorScheme: "light",
    viewport: { width: 1300, height: 800 },
  });
  return {
    context,
    async stop() {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
  };
}

/** Opens a page and notes what it must not do. `faults` stays empty if all is well. */
export async function openPage(browser, store, path = "/") {
  const page = await browser.context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    const expected = AWAY.test(message.text()) || page.expected?.test(message.text());
    if (["error", "warning"].includes(message.type()) && !expected) faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const external = !request.url().startsWith(`${store.url}/`) && !request.url().startsWith("data:");
    if (external) faults.push(`external request: ${request.url()}`);
  });
  await page.goto(store.url + path);
  await page.getByTestId("connection").and(page.locator("[data-state=connected]")).waitFor();
  return Object.assign(page, { faults });
}

/** Waits until `look` answers something true. */
export async function until(look, patience = 30_000) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`nothing came of it in ${patience} ms: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
