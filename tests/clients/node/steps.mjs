// What the Node.js drivers share; as python/steps.py.
import fs from "node:fs";
import path from "node:path";

const TIMEOUT = 60_000;

export class NotOffered extends Error {}

export class Desk {
  constructor(url, slowUrl) {
    Object.assign(this, { url, slowUrl, host: url.slice(7), slowHost: slowUrl.slice(7) });
    this.picture = path.resolve(fs.readdirSync(".").find((name) => /^upload-.*\.png$/.test(name)));
  }

  get workflow() {
    return JSON.parse(fs.readFileSync("workflow.json", "utf8"));
  }

  keep(png) {
    fs.writeFileSync("read.png", png);
  }

  async keepBlob(blob) {
    this.keep(Buffer.from(await blob.arrayBuffer()));
  }

  async interruptWhile(generate, interrupt) {
    // How a client tells that its prompt was interrupted is its own affair.
    const ended = generate().catch(() => {});
    await this.waitUntilRunning();
    await interrupt();
    await within(ended, "the client still waits for what was interrupted");
  }

  async waitUntilRunning() {
    const deadline = Date.now() + TIMEOUT;
    while ((await (await fetch(`${this.slowUrl}/queue`)).json()).queue_running.length === 0) {
      if (Date.now() > deadline) throw new Error("nothing runs on the slow server");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

export function within(promise, message) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(message)), TIMEOUT);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export async function drive(Driver) {
  const driver = new Driver(new Desk(process.argv[2], process.argv[3]));
  for (const step of ["generate", "read", "upload", "interrupt"]) {
    const told = { step, outcome: "yes" };
    try {
      told.note = (await within(driver[step](), `${step} took too long`)) ?? "";
    } catch (error) {
      Object.assign(told, { outcome: error instanceof NotOffered ? "not offered" : "failed", note: String(error.stack) });
    }
    fs.writeSync(1, `${JSON.stringify(told)}\n`);
  }
  process.exit(0);
}
