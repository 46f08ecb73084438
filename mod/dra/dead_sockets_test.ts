import assert from "node:assert/strict";
import { join } from "node:path";
import { FakeLog } from "../../tests/support/agent_fakes.ts";
import { removeDeadSockets } from "./dead_sockets.ts";

const driver = "dra.networking";
const uid = "4f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55";

Deno.test("sockets of the driver on which nobody listens are removed, and no others", async () => {
  const kubeletDir = await Deno.makeTempDir();
  const path = (name: string) =>
    join(kubeletDir, name.endsWith("-reg.sock") ? "plugins_registry" : `plugins/${driver}`, name);
  await Deno.mkdir(join(kubeletDir, "plugins_registry"));
  await Deno.mkdir(join(kubeletDir, "plugins", driver), { recursive: true });
  const listen = (name: string) => Deno.listen({ transport: "unix", path: path(name) });
  const there = async (name: string) => !!await Deno.lstat(path(name)).catch(() => undefined);
  const dead = [`${driver}-${uid}-reg.sock`, `${driver}-reg.sock`, `dra-${uid}.sock`];
  const others = [`${driver}-extra-reg.sock`, `other-${uid}-reg.sock`, "other.sock"];
  // Renamed, or the listener would remove its path when it is closed.
  for (const name of [...dead, ...others]) {
    const listener = Deno.listen({ transport: "unix", path: `${path(name)}~` });
    await Deno.rename(`${path(name)}~`, path(name));
    listener.close();
  }
  const living = listen(`dra-${uid.replace("4", "5")}.sock`);
  await Deno.writeTextFile(path("dra.sock"), "no socket");
  try {
    await removeDeadSockets({ kubeletDir, driver, log: new FakeLog() });
    for (const name of dead) assert.equal(await there(name), false, name);
    for (const name of [...others, `dra-${uid.replace("4", "5")}.sock`, "dra.sock"]) {
      assert.equal(await there(name), true, name);
    }
  } finally {
    living.close();
    await Deno.remove(kubeletDir, { recursive: true });
  }
});
