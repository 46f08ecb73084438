import assert from "node:assert/strict";
import { addStep } from "./add_step.ts";
import type { PluginRun } from "./plugins.ts";

const RUN: PluginRun = {
  plugin: "macvlan",
  command: "ADD",
  result: "error",
  seconds: 0.2,
  env: {
    CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=demo;K8S_POD_UID=u;A=b=c",
    CNI_IFNAME: "net1",
    CNI_CONTAINERID: "s1",
  },
  error: "no address left",
};

Deno.test("addStep() is an ADD on its pod's way, and no other command", () => {
  assert.deepEqual(addStep(RUN), {
    name: "add",
    pod: { namespace: "default", name: "demo", uid: "u" },
    seconds: 0.2,
    about: { plugin: "macvlan", interface: "net1", sandbox: "s1" },
    error: "no address left",
  });
  assert.equal(addStep({ ...RUN, command: "DEL" }), undefined);
  assert.equal(addStep({ ...RUN, env: {} }), undefined);
});
