// @stable-canvas/comfyui-client: follows the WebSocket per prompt; takes the WebSocket of `ws`, as its manual says.
import fs from "node:fs";
import { Client } from "@stable-canvas/comfyui-client";
import WebSocket from "ws";
import { drive } from "./steps.mjs";

class Driver {
  constructor(desk) {
    this.desk = desk;
  }

  connect(host) {
    const client = new Client({ api_host: host, WebSocket, fetch });
    client.connect();
    return client;
  }

  async generate() {
    this.client = this.connect(this.desk.host);
    this.result = await this.client.enqueue(this.desk.workflow, {});
  }

  async read() {
    const image = this.result.images[0];
    const png = image.type === "url" ? await (await fetch(image.data)).arrayBuffer() : image.data;
    this.desk.keep(Buffer.from(png));
    return image.type === "url" ? "by the URL it gives" : "";
  }

  async upload() {
    const body = new FormData();
    body.append("image", new Blob([fs.readFileSync(this.desk.picture)], { type: "image/png" }), "upload-canvas.png");
    const answer = await this.client.fetchApi("/upload/image", { method: "POST", body });
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    this.client.close();
    return "through its fetchApi";
  }

  async interrupt() {
    const slow = this.connect(this.desk.slowHost);
    // enqueue() waits on after an interrupt; the event is what the client offers.
    const noticed = new Promise((resolve) => slow.on("execution_interrupted", resolve));
    slow.enqueue(this.desk.workflow, {}).catch(() => {});
    await this.desk.interruptWhile(
      () => noticed,
      () => slow.interrupt(),
    );
    slow.close();
  }
}

await drive(Driver);
