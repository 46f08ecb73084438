import assert from "node:assert/strict";
import { runProgram } from "../cni/program.ts";
import type { Confinement } from "./confinement.ts";
import type { RunConfig } from "./run_config.ts";
import { Warden } from "./warden.ts";

const config = {
  cniPath: ["/opt/cni/bin"],
  netnsDir: "/var/run/netns",
} as unknown as RunConfig;
const confinement = {
  read: [],
  write: [],
  net: [],
  env: "inherit",
  sys: [],
  run: false,
  ffi: false,
  import: false,
} as Confinement;

/** A worker's module that does this. */
function module(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

Deno.test("a worker that takes long to listen is told what came before", async () => {
  const code = module(`
    await new Promise((resolve) => setTimeout(resolve, 300));
    const told = [];
    self.onmessage = ({ data }) => {
      told.push(data.kind);
      if (told.length === 2) {
        self.postMessage({ kind: "exit", code: told.join() === "start,signal" ? 7 : 1 });
      }
    };
    self.postMessage({ kind: "here" });
  `);
  const warden = new Warden(config, { run: runProgram, code, confinement });
  warden.signal("SIGTERM");
  assert.equal(await warden.ended, 7);
});

Deno.test("a worker that ends by an error ends the warden", async () => {
  const warden = new Warden(config, {
    run: runProgram,
    code: module("throw new Error('broken')"),
    confinement,
  });
  await assert.rejects(warden.ended, /broken/);
});

Deno.test("the warden runs nothing but plugins, with nothing but their variables", async () => {
  const requests = [
    { path: "/bin/true", options: { env: {} } },
    { path: "/opt/cni/bin/../../../bin/true", options: { env: {} } },
    { path: "/opt/cni/bin/x/../macvlan", options: { env: {} } },
    { path: "/opt/cni/bin/..", options: { env: {} } },
    { path: "/opt/cni/bin/macvlan", options: { env: { LD_PRELOAD: "/tmp/x.so" } } },
    { path: "/opt/cni/bin/macvlan", options: { env: { CNI_PATH: "/tmp" } } },
    { path: "/opt/cni/bin/macvlan", options: { env: { PATH: "/tmp" } } },
  ];
  const code = module(`
    const requests = ${JSON.stringify(requests)};
    let refused = 0;
    self.onmessage = ({ data }) => {
      if (data.kind === "start") {
        requests.forEach((request, id) => self.postMessage({ kind: "run", id, ...request }));
        self.postMessage({ kind: "read", id: 99, paths: ["/etc/shadow"] });
        self.postMessage({ kind: "read", id: 98, paths: ["/sys/devices/../../etc/shadow"] });
      } else if (/is not a plugin of|do not get (LD_PRELOAD|CNI_PATH|PATH)|is no device's file/.test(data.error)) {
        if (++refused === requests.length + 2) self.postMessage({ kind: "exit", code: 0 });
      } else {
        self.postMessage({ kind: "exit", code: 1 });
      }
    };
    self.postMessage({ kind: "here" });
  `);
  assert.equal(await new Warden(config, { run: runProgram, code, confinement }).ended, 0);
});
