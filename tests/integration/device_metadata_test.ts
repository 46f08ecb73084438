/** What containers read of their claims, read with Kubernetes' own library for that (KEP-5304). */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { ClaimMetadata } from "../../mod/agent/model.ts";
import { CdiSpecFiles } from "../../mod/cdi/spec_files.ts";
import { resolveCdi } from "../../mod/simulator/cdi.ts";
import { fetchMetadataReaders, READER_VERSIONS, readMetadata } from "../support/metadata_reader.ts";

const driver = "dra.networking";
const claim = {
  namespace: "default",
  name: "lan-claim",
  uid: "0b5b3b0e-0000-4000-8000-000000000001",
};
const network = { interfaceName: "net1", hardwareAddress: "02:00:00:00:00:01" };
const attributes = {
  interface: { string: "eth0" },
  mtu: { int: 1500 },
  virtual: { bool: false },
  "resource.kubernetes.io/pciBusID": { string: "0000:01:00.0" },
};
const devices = [
  { request: "lan", pool: "node-1", device: "eth0", attributes, networkData: network },
  {
    request: "wan/fast",
    pool: "node-1",
    device: "cni",
    attributes: {},
    networkData: { ...network, interfaceName: "net2", ips: ["10.0.0.2/24", "fd00::2/64"] },
  },
];

const readers = await fetchMetadataReaders({ progress: (line) => console.error(line) });
const missing = "missing" in readers ? readers.missing : undefined;

/** The files that a container of the claim finds, by the paths at which it finds them. */
async function filesOf(metadata: ClaimMetadata): Promise<ReadonlyMap<string, string>> {
  const folder = await Deno.makeTempDir();
  try {
    const cdi = new CdiSpecFiles(folder, { driver });
    cdi.allowCreate(metadata);
    cdi.allowStart(metadata);
    const mounts = await resolveCdi(folder, [cdi.deviceId(claim.uid)!]);
    const files = mounts.map(({ containerPath, hostPath }) =>
      [containerPath, Deno.readTextFileSync(hostPath)] as const
    );
    return new Map(files);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const version of READER_VERSIONS) {
  Deno.test({
    name: `workloads with Kubernetes' library ${version} read what their claims got` +
      (missing === undefined ? "" : ` (not run: ${missing})`),
    ignore: missing !== undefined,
    fn: async () => {
      assert.ok(!("missing" in readers));
      for (const podClaim of [undefined, "net"]) {
        const files = await filesOf({
          claim,
          devices,
          ...(podClaim !== undefined && { podClaimName: podClaim }),
        });
        for (const device of devices) {
          const request = device.request.split("/")[0]!;
          const file = [...files].find(([path]) => path.includes(`/${request}/`))!;
          const found = await readMetadata(readers[version], {
            file: file[1],
            driver,
            request,
            ...(podClaim === undefined ? { claim: claim.name } : { podClaim }),
          });
          assert.deepEqual(found, {
            path: file[0],
            claim: `default/lan-claim ${claim.uid}`,
            generation: 1,
            podClaimName: podClaim ?? null,
            requests: [{
              Name: device.request,
              Devices: [{
                Driver: driver,
                Pool: "node-1",
                Name: device.device,
                Attributes: device.attributes,
                NetworkData: device.networkData,
              }],
            }],
          }, join(version, file[0]));
        }
      }
    },
  });
}
