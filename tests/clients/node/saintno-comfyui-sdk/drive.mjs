// @saintno/comfyui-sdk: probes what the server has, follows `executed` and `execution_interrupted`.
import fs from "node:fs";
import { CallWrapper, ComfyApi, PromptBuilder } from "@saintno/comfyui-sdk";
import { drive } from "./steps.mjs";

class Driver {
  constructor(desk) {
    this.desk = desk;
  }

  async connect(url) {
    return new ComfyApi(url).init(5, 500).waitForReady();
  }

  call(api) {
    const builder = new PromptBuilder(this.desk.workflow, ["seed"], ["images"])
      .setInputNode("seed", "3.inputs.seed")
      .setOutputNode("images", "9")
      .input("seed", 22);
    return new Promise((resolve, reject) => {
      new CallWrapper(api, builder).onFinished(resolve).onFailed(reject).run();
    });
  }

  async generate() {
    this.api = await this.connect(this.desk.url);
    this.images = (await this.call(this.api)).images.images;
  }

  async read() {
    await this.desk.keepBlob(await this.api.getImage(this.images[0]));
  }

  async upload() {
    const sent = await this.api.uploadImage(fs.readFileSync(this.desk.picture), "upload-saintno.png");
    if (!sent) throw new Error("the client says that the upload failed");
    this.api.destroy();
  }

  async interrupt() {
    const slow = await this.connect(this.desk.slowUrl);
    await this.desk.interruptWhile(
      () => this.call(slow),
      () => slow.interrupt(),
    );
  }
}

await drive(Driver);
