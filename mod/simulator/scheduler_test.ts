import assert from "node:assert/strict";
import type { Manifest } from "./manifest.ts";
import { allocate, driverOf } from "./scheduler.ts";

const opaque = (value: string) => ({ opaque: { driver: "d", parameters: { value } } });
const deviceClass: Manifest = {
  apiVersion: "resource.k8s.io/v1",
  kind: "DeviceClass",
  metadata: { name: "lan" },
  spec: { config: [opaque("class")] },
};
const claim = (devices: object): Manifest => ({
  apiVersion: "resource.k8s.io/v1",
  kind: "ResourceClaim",
  metadata: { name: "c" },
  spec: { devices },
});
const notes: string[] = [];
const options = {
  node: "n",
  driver: "d",
  device: "cni",
  classes: new Map([["lan", deviceClass]]),
  note: (line: string) => notes.push(line),
};
const exactly = { deviceClassName: "lan" };

Deno.test("allocate() gives each request the node's device, each time with a share of its own", () => {
  const { devices, nodeSelector } = allocate(
    claim({
      requests: [
        { name: "one", exactly: { ...exactly, count: 2 } },
        { name: "two", firstAvailable: [{ name: "best", ...exactly }, { name: "next" }] },
      ],
      config: [{ requests: ["one"], ...opaque("claim") }],
    }),
    options,
  );
  assert.deepEqual(devices.results.map(({ request }) => request), ["one", "one", "two/best"]);
  assert.equal(new Set(devices.results.map(({ shareID }) => shareID)).size, 3);
  assert.ok(devices.results.every(({ pool, device }) => pool === "n" && device === "cni"));
  assert.deepEqual(
    devices.config.map(({ source, requests }) => [source, requests]),
    [["FromClass", ["one"]], ["FromClass", ["two/best"]], ["FromClaim", ["one"]]],
  );
  assert.match(JSON.stringify(nodeSelector), /metadata\.name.*"n"/);
});

Deno.test("allocate() says what is missing, and that selectors are not evaluated", () => {
  const requests = (...all: object[]) => () => allocate(claim({ requests: all }), options);
  assert.throws(requests(), /claim c: it requests no devices/);
  assert.throws(requests({ name: "r" }), /requests\[0\]: it must have "exactly"/);
  assert.throws(requests({ name: "r", exactly: {} }), /requests\[0\]: deviceClassName is missing/);
  assert.throws(
    requests({ name: "r", exactly: { deviceClassName: "x" } }),
    /there is no DeviceClass x; add it to the files/,
  );
  assert.throws(
    requests({ name: "r", exactly: { ...exactly, count: 30 } }, {
      name: "s",
      exactly: { ...exactly, count: 3 },
    }),
    /requests\[1\]: 33 devices are too many: a claim has 32 at most/,
  );
  notes.length = 0;
  requests({ name: "r", exactly: { ...exactly, selectors: [{}] } })();
  assert.match(notes.join(), /requests\[0\]: gets the device cni: .* evaluates no selectors/);
});

Deno.test("driverOf() finds the one driver that the files name", () => {
  assert.equal(driverOf([deviceClass, claim({ config: [opaque("x")] })]), "d");
  assert.equal(driverOf([claim({})]), undefined);
  const other = claim({ config: [{ opaque: { driver: "e" } }] });
  assert.equal(driverOf([deviceClass, other]), undefined);
});
