import { create, toBinary } from "@bufbuild/protobuf";
import { Buffer } from "node:buffer";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { join } from "node:path";
import { DraPlugin } from "../../../mod/dra/plugin.ts";
import { socketPaths } from "../../../mod/dra/socket_paths.ts";
import { unixStream } from "../../../mod/unix/stream.ts";
import { NodePrepareResourcesRequestSchema } from "../../../proto/gen/dra/dra_v1_pb.ts";
import { FakeLog } from "../../support/agent_fakes.ts";
import { systemClock } from "../../../mod/async/clock.ts";
import { type AgentBench, agentBench, assertBench, DRIVER } from "../agent_bench.ts";
import { fromHex, toHex } from "../corpus.ts";
import { mutateBytes } from "../mutate_bytes.ts";
import type { Random } from "../random.ts";
import { holds, type Target, Violation } from "../target.ts";

/** What a client sends: a call, or bytes in place of a whole connection. */
type Input =
  | { readonly path: string; readonly headers: Record<string, string>; readonly body: Uint8Array }
  | { readonly raw: Uint8Array };

const PREFIX = 5;
/** The server answers within this, in milliseconds. */
const PATIENCE = 5_000;

const SERVICES = [
  "k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin",
  "k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin",
];
const PATHS = [
  ...SERVICES.flatMap((service) => [
    `/${service}/NodePrepareResources`,
    `/${service}/NodeUnprepareResources`,
  ]),
  "/v1.DRAResourceHealth/NodeWatchResources",
  `/${SERVICES[0]}/NoSuchMethod`,
  "/__proto__/constructor",
  "/",
  "//",
];

const request = (...claims: { namespace: string; name: string; uid: string }[]) =>
  toBinary(
    NodePrepareResourcesRequestSchema,
    create(NodePrepareResourcesRequestSchema, { claims: claims as never }),
  );
const MESSAGES = [
  request({ namespace: "default", name: "a", uid: "uid-a" }),
  request({ namespace: "default", name: "no-such", uid: "uid-x" }),
  request({ namespace: "..", name: "../..", uid: "__proto__" }, {
    namespace: "d",
    name: "\0",
    uid: "x".repeat(300),
  }),
  request(),
];

/** The client's preface with its settings, a request's headers and its data, as they are sent. */
const CONNECTION = fromHex(
  "505249202a20485454502f322e300d0a0d0a534d0d0a0d0a" + // PRI * HTTP/2.0
    "000000040000000000" + // SETTINGS
    "00000004010000000000" + // SETTINGS, acknowledged
    "000008060000000000" + "0102030405060708" + // PING
    "000004080000000000" + "0000ffff" + // WINDOW_UPDATE
    "00000401040000000183868441" + // HEADERS
    "000005000100000001" + "0000000000", // DATA
);

/** gRPC requests on a real socket, up to the agent. */
export async function makeGrpc(folder: string): Promise<Target> {
  await Deno.mkdir(join(folder, "plugins_registry"));
  const bench = await agentBench();
  const plugin = new DraPlugin({
    driver: DRIVER,
    kubeletDir: folder,
    log: new FakeLog(),
    clock: systemClock,
  }, {
    prepare: (claims, signal) => bench.agent.prepare(claims, signal),
    unprepare: (claims, signal) => bench.agent.unprepare(claims, signal),
    watchHealth: async function* () {
      yield bench.agent.deviceHealth();
      await Promise.resolve();
    },
  });
  await plugin.start();
  const { service } = socketPaths({ kubeletDir: folder, driver: DRIVER });
  let client = await Client.connect(service);
  const target: Target<Input> = {
    seeds: MESSAGES.map((body) => ({ path: PATHS[0]!, headers: {}, body: framed(body) })),
    mutate: (_, random) => input(random),
    async attempt(sent) {
      if ("raw" in sent) {
        await sendRaw(service, sent.raw);
      } else {
        await client.call(sent).catch((error) => {
          if (error instanceof Violation) throw error;
          // A connection that the server gave up: one does not tell it much with a broken request.
          return undefined;
        });
        if (client.lost) client = await Client.connect(service);
      }
      forget(bench);
      if ("raw" in sent) await works(client);
    },
    show: (sent) => "raw" in sent ? toHex(sent.raw) : `${sent.path} ${toHex(sent.body)}`,
    async close() {
      await works(client);
      client.close();
      await plugin.stop();
      await bench.agent.close();
    },
  };
  return target as Target;
}

/** The fakes keep everything; nothing here asks them for it. */
function forget(bench: AgentBench): void {
  assertBench(bench);
  bench.log.lines.length = 0;
  bench.cni.calls.length = 0;
}

function input(random: Random): Input {
  if (random.oneIn(100)) return { raw: mutateBytes([CONNECTION], random) };
  const message = random.oneIn(4) ? random.pick(MESSAGES) : mutateBytes(MESSAGES, random);
  const body = framed(message);
  if (random.oneIn(10)) new DataView(body.buffer).setUint32(1, random.next());
  if (random.oneIn(20)) body[0] = random.next();
  const headers: Record<string, string> = {};
  if (random.oneIn(10)) {
    headers["grpc-timeout"] = random.pick(["1n", "99999999H", "-1S", "x", "", "0m", "1m"]);
  }
  if (random.oneIn(20)) {
    headers["content-type"] = random.pick(["text/plain", "application/grpc+json"]);
  }
  if (random.oneIn(20)) headers["grpc-encoding"] = random.pick(["gzip", "nonsense", "identity"]);
  return { path: random.oneIn(4) ? random.pick(PATHS) : PATHS[random.below(4)]!, headers, body };
}

function framed(message: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PREFIX + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, PREFIX);
  return bytes;
}

class Client {
  lost = false;
  readonly #session: ClientHttp2Session;

  private constructor(session: ClientHttp2Session) {
    this.#session = session;
    for (const event of ["error", "goaway", "close"]) session.on(event, () => this.lost = true);
  }

  static async connect(path: string): Promise<Client> {
    const socket = await Deno.connect({ transport: "unix", path });
    return new Client(connect("http://localhost", { createConnection: () => unixStream(socket) }));
  }

  close(): void {
    this.#session.close();
  }

  /** The status that the call ended with, or undefined where it was reset. */
  call({ path, headers, body }: Exclude<Input, { raw: Uint8Array }>): Promise<string | undefined> {
    return new Promise((resolve, reject) => {
      const call = this.#session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        te: "trailers",
        ...headers,
      });
      let status: string | undefined;
      const late = setTimeout(() => {
        call.close(constants.NGHTTP2_CANCEL);
        reject(new Violation(`no answer within ${PATIENCE} ms`));
      }, PATIENCE);
      const read = (answer: Readonly<Record<string, unknown>>) => {
        if (answer["grpc-status"] !== undefined) status = String(answer["grpc-status"]);
      };
      call.on("response", read).on("trailers", read).on("data", () => {});
      call.on("error", (error: Error) => {
        clearTimeout(late);
        reject(error);
      });
      call.on("close", () => {
        clearTimeout(late);
        resolve(status);
      });
      call.end(Buffer.from(body));
    });
  }
}

/** Sends bytes and goes away. */
async function sendRaw(path: string, bytes: Uint8Array): Promise<void> {
  const socket = await Deno.connect({ transport: "unix", path });
  try {
    for (let sent = 0; sent < bytes.length;) sent += await socket.write(bytes.subarray(sent));
  } catch {
    // It was closed before all was sent.
  } finally {
    socket.close();
  }
}

async function works(client: Client): Promise<void> {
  const status = await client.call({ path: PATHS[0]!, headers: {}, body: framed(MESSAGES[1]!) });
  holds(status === "0", `the server answers a good request with status ${status}`);
}
