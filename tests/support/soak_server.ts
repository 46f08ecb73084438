/**
 * A DRA plugin that answers and does nothing else, for the soak of the gRPC server: a crash of the
 * runtime below it must not take the test along. Arguments: the kubelet's folder, the driver.
 */
import { join } from "node:path";
import { Registration } from "../../proto/gen/dra/registration_pb.ts";
import { systemClock } from "../../mod/async/clock.ts";
import { DraPlugin } from "../../mod/dra/plugin.ts";
import { GrpcServer } from "../../mod/grpc/server.ts";

const [kubeletDir = "", driver = ""] = Deno.args;
const quiet = () => {};

const plugin = new DraPlugin({
  driver,
  kubeletDir,
  log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  clock: systemClock,
}, {
  prepare: async (claims, signal) => {
    // A claim with that name waits until its caller gives up.
    if (claims.some(({ name }) => name === "slow")) await systemClock.sleep(60_000, signal);
    return new Map(claims.map(({ uid }) => [uid, { devices: [] }]));
  },
  unprepare: (claims) => Promise.resolve(new Map(claims.map(({ uid }) => [uid, {}]))),
  watchHealth: async function* () {},
});
await plugin.start();

// A second server whose idle connections are sent away (GOAWAY) after a second, not half an hour.
const idle = new GrpcServer(join(kubeletDir, "idle.sock"), [[Registration, {
  getInfo: (_: unknown, reply: (error: null, info: object) => void) =>
    reply(null, { name: "idle", supportedVersions: [] }),
}]], { "grpc.max_connection_idle_ms": 1000 });
console.log("serving");
Deno.addSignalListener("SIGTERM", async () => {
  idle.destroy();
  await plugin.stop();
  Deno.exit(0);
});
