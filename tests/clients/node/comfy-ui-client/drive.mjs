// comfy-ui-client: connects first, waits for `executing` null, reads /history and /view.
import fs from "node:fs";
import { randomUUID } from "node:crypto";
import { ComfyUIClient } from "comfy-ui-client";
import { drive } from "./steps.mjs";

class Driver {
  constructor(desk) {
    this.desk = desk;
    this.client = new ComfyUIClient(desk.host, randomUUID());
  }

  async generate() {
    await this.client.connect();
    this.images = await this.client.getImages(this.desk.workflow);
  }

  async read() {
    const { filename, subfolder, type } = this.images["9"][0].image;
    await this.desk.keepBlob(await this.client.getImage(filename, subfolder, type));
  }

  async upload() {
    await this.client.uploadImage(fs.readFileSync(this.desk.picture), "upload-comfy-ui-client.png");
    await this.client.disconnect();
  }

  async interrupt() {
    const slow = new ComfyUIClient(this.desk.slowHost, randomUUID());
    await slow.connect();
    await this.desk.interruptWhile(
      () => slow.getImages(this.desk.workflow),
      // It reads JSON where ComfyUI answers with nothing; by then it has interrupted.
      () => slow.interrupt().catch(() => {}),
    );
    await slow.disconnect();
    return "then fails at the empty answer, as on ComfyUI";
  }
}

await drive(Driver);
