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

/** A node without interfaces. */
const interfaces = () => Promise.resolve(new Map());

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
  const warden = new Warden(config, { run: runProgram, interfaces, code, confinement });
  warden.signal("SIGTERM");
  assert.equal(await warden.ended, 7);
});

Deno.test("a worker that ends by an error ends the warden", async () => {
  const warden = new Warden(config, {
    run: runProgram,
    interfaces,
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
      } else if (/is not a plugin of|must not set (LD_PRELOAD|CNI_PATH|PATH)|is not a file of a device/.test(data.error)) {
        if (++refused === requests.length + 2) self.postMessage({ kind: "exit", code: 0 });
      } else {
        self.postMessage({ kind: "exit", code: 1 });
      }
    };
    self.postMessage({ kind: "here" });
  `);
  assert.equal(
    await new Warden(config, { run: runProgram, interfaces, code, confinement }).ended,
    0,
  );
});

Deno.test("the warden lists interfaces in the namespaces of pods, and in no others", async () => {
  const code = module(`
    const paths = ["/var/run/netns/s1", "/proc/1/ns/net", "/var/run/netns/../../../proc/1/ns/net"];
    const answers = [];
    self.onmessage = ({ data }) => {
      if (data.kind === "start") return;
      answers.push(data.kind === "listed" ? [...data.interfaces.keys()].join() : data.error);
      if (answers.length < paths.length) return;
      const refused = answers.filter((each) => each.startsWith("invalid CNI_NETNS")).length;
      self.postMessage({ kind: "exit", code: answers[0] === "net1" && refused === 2 ? 7 : 1 });
    };
    self.postMessage({ kind: "here" });
    paths.forEach((path, id) => self.postMessage({ kind: "interfaces", id, path }));
  `);
  const listed: string[] = [];
  const warden = new Warden(config, {
    run: runProgram,
    interfaces: (path) => {
      listed.push(path);
      return Promise.resolve(new Map([["net1", { index: 2 }]]));
    },
    code,
    confinement,
  });
  assert.equal(await warden.ended, 7);
  assert.deepEqual(listed, ["/var/run/netns/s1"]);
});
