import assert from "node:assert/strict";
import type { DeviceMetadata } from "../agent/model.ts";
import { byRequest, containerPath, metadataStream } from "./device_metadata.ts";

const claim = { namespace: "default", name: "lan-claim", uid: "uid-a" };
const driver = "dra.networking";

Deno.test("containerPath() is where readers of KEP-5304 look", () => {
  const folder = "/var/run/kubernetes.io/dra-device-attributes";
  assert.equal(
    containerPath({ claim }, { request: "lan", driver }),
    `${folder}/resourceclaims/lan-claim/lan/dra.networking-metadata.json`,
  );
  assert.equal(
    containerPath({ claim, podClaimName: "net" }, { request: "lan", driver }),
    `${folder}/resourceclaimtemplates/net/lan/dra.networking-metadata.json`,
  );
});

Deno.test("byRequest() puts devices of one request together, whatever its subrequest", () => {
  const device = { pool: "node-1", device: "cni", attributes: {} };
  const requests = ["lan", "wan/fast", "lan"].map((request) => ({ ...device, request }));
  const counts = [...byRequest(requests)].map(([name, devices]) => [name, devices.length]);
  assert.deepEqual(counts, [["lan", 2], ["wan", 1]]);
});

Deno.test("metadataStream() says the same in each version, the newest first", () => {
  const networkData = { interfaceName: "net1", hardwareAddress: "02:00:00:00:00:01" };
  const mtu = { int: 1500 };
  const devices = [
    { request: "wan/fast", pool: "node-1", device: "eth0", attributes: { mtu } },
    { request: "wan/fast", pool: "node-1", device: "cni", attributes: {}, networkData },
  ] as DeviceMetadata[];
  const stream = metadataStream({ claim, podClaimName: "net" }, { devices, driver, generation: 3 });
  const objects = JSON.parse(`[${stream.trimEnd().replaceAll("}\n{", "},{")}]`);
  const content = {
    kind: "DeviceMetadata",
    metadata: { ...claim, generation: 3 },
    podClaimName: "net",
    requests: [{
      name: "wan/fast",
      devices: [
        { driver, pool: "node-1", name: "eth0", attributes: { mtu: { int: 1500 } } },
        { driver, pool: "node-1", name: "cni", attributes: {}, networkData },
      ],
    }],
  };
  assert.deepEqual(objects, [
    { apiVersion: "metadata.resource.k8s.io/v1beta1", ...content },
    { apiVersion: "metadata.resource.k8s.io/v1alpha1", ...content },
  ]);
});
