import assert from "node:assert/strict";
import { socketPaths } from "./socket_paths.ts";

const kubeletDir = "/var/lib/kubelet";
const podUid = "4f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55";

Deno.test("socketPaths() gives two agents of a node sockets of their own", () => {
  assert.deepEqual(socketPaths({ kubeletDir, driver: "dra.networking" }), {
    service: "/var/lib/kubelet/plugins/dra.networking/dra.sock",
    registry: "/var/lib/kubelet/plugins_registry/dra.networking-reg.sock",
  });
  assert.deepEqual(socketPaths({ kubeletDir, driver: "dra.networking", podUid }), {
    service: `/var/lib/kubelet/plugins/dra.networking/dra-${podUid}.sock`,
    registry: `/var/lib/kubelet/plugins_registry/dra.networking-${podUid}-reg.sock`,
  });
});

Deno.test("socketPaths() takes names up to the length that it states", () => {
  const driver = (length: number) => ({ kubeletDir, driver: "d".repeat(length), podUid });
  socketPaths(driver(27));
  assert.throws(
    () => socketPaths(driver(28)),
    /has 108 bytes, .* at most 107: .*\/kubelet and a pod's UID, .* at most 27 characters$/,
  );
});

Deno.test("socketPaths() says when the kubelet folder alone is too long", () => {
  const dir = `/${"k".repeat(100)}`;
  assert.throws(
    () => socketPaths({ kubeletDir: dir, driver: "d" }),
    /no driver name is short enough; use a shorter kubelet folder$/,
  );
});
