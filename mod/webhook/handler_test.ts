import assert from "node:assert/strict";
import { chartClasses } from "../manifests/chart_classes.ts";
import { webhookHandler, type WebhookParts } from "./handler.ts";

const classes = new Map(
  chartClasses("dra.networking").map((each) => [each.metadata.name, each]),
);
const options = () => Promise.resolve({ driver: "dra.networking", policy: {}, classes });
const limits = { body: 4_096, bodies: 8_192, nesting: 20, time: 200 };
const URL_ = "https://webhook/validate";

function review(changes: Record<string, unknown> = {}): string {
  return JSON.stringify({
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    request: {
      uid: "u-1",
      kind: { group: "dra.networking", version: "v1alpha1", kind: "Network" },
      operation: "CREATE",
      object: { metadata: { name: "lan" }, spec: {} },
      ...changes,
    },
  });
}

function post(body: BodyInit): Request {
  return new Request(URL_, { method: "POST", body });
}

async function answer(request: Request, parts: Partial<WebhookParts> = {}) {
  const response = await webhookHandler({ options, limits, ...parts })(request);
  return { status: response.status, text: await response.text() };
}

Deno.test("webhookHandler() answers a review with a review", async () => {
  const told: string[] = [];
  const { status, text } = await answer(post(review()), {
    judged: ({ kind }, { is }) => told.push(`${kind} ${is}`),
  });
  assert.equal(status, 200);
  assert.deepEqual(JSON.parse(text), {
    apiVersion: "admission.k8s.io/v1",
    kind: "AdmissionReview",
    response: {
      uid: "u-1",
      allowed: false,
      status: {
        status: "Failure",
        message: "spec.config: is missing: it holds the CNI configuration",
        reason: "Invalid",
        code: 422,
      },
    },
  });
  assert.deepEqual(told, ["Network denied"]);
  const allowed = JSON.parse((await answer(post(review({ operation: "DELETE" })))).text);
  assert.deepEqual(allowed.response, { uid: "u-1", allowed: true });
});

Deno.test("webhookHandler() calls what is no review a mistake of the caller's, never one of its own", async () => {
  const bytes = new Uint8Array([0xff, 0xfe]);
  const cases: [Request, number, RegExp][] = [
    [post("{"), 400, /JSON/],
    [post(""), 400, /JSON/],
    [post(bytes), 400, /./],
    [post("[]"), 400, /^the body: must be an object/],
    [
      post(JSON.stringify({ kind: "Pod" })),
      400,
      /must be an AdmissionReview of admission\.k8s\.io/,
    ],
    [post("[".repeat(21)), 400, /^the body: is nested too deeply: at most 20 levels are allowed$/m],
    [post(`"${"x".repeat(5_000)}"`), 413, /^the body is longer than 4096 bytes$/m],
    [new Request(URL_), 405, /^GET is not allowed, only POST$/m],
    [new Request("https://webhook/healthz", { method: "POST" }), 405, /only GET/],
    [new Request("https://webhook/metrics"), 404, /use \/validate, \/healthz or \/readyz/],
  ];
  for (const [request, status, expected] of cases) {
    const { status: given, text } = await answer(request);
    assert.equal(given, status, text);
    assert.match(text, expected);
  }
});

/** A body that never ends, and how often it was cancelled. */
function endless(begin = "{") {
  const seen = { cancelled: 0 };
  const body = new ReadableStream({
    start: (controller) => controller.enqueue(new TextEncoder().encode(begin)),
    cancel: () => void seen.cancelled++,
  });
  return { seen, body };
}

Deno.test("webhookHandler() gives up on bodies that do not end, and serves others meanwhile", async () => {
  const handler = webhookHandler({ options, limits: { ...limits, time: 1_000 } });
  const bodies = Array.from({ length: 200 }, () => endless());
  let ended = 0;
  const slow = bodies.map(({ body }) => handler(post(body)).finally(() => ended++));
  assert.equal((await handler(post(review()))).status, 200);
  assert.equal(ended, 0, "it waited for bodies of others");
  for (const each of slow) {
    const response = await each;
    assert.equal(response.status, 503);
    assert.equal(await response.text(), "the request took longer than 1000 ms\n");
  }
  for (const { seen } of bodies) assert.equal(seen.cancelled, 1);
});

Deno.test("webhookHandler() gives up the longest body where all together are too long", async () => {
  const handler = webhookHandler({ options, limits: { ...limits, time: 10_000 } });
  const lengths = [3_000, 4_000, 1_000];
  const bodies = lengths.map((length) => endless("[".padEnd(length)));
  const answers = bodies.map(({ body }) => handler(post(body)));
  // With these, 8,192 bytes are exceeded; none of them is the longest.
  const good = await handler(post(review().padEnd(1_000)));
  assert.equal(good.status, 200);
  const gone = await answers[1]!;
  assert.equal(gone.status, 503);
  assert.match(
    await gone.text(),
    /^other requests need the memory: this one had the longest body$/m,
  );
  assert.deepEqual(bodies.map(({ seen }) => seen.cancelled), [0, 1, 0]);
});

Deno.test("webhookHandler() reads no body before it knows what to judge with", async () => {
  const known = Promise.withResolvers<void>();
  const handler = webhookHandler({
    options: async () => {
      await known.promise;
      return await options();
    },
    limits: { ...limits, time: 10_000 },
  });
  let pulled = 0;
  const body = new ReadableStream({
    pull: (controller) => {
      pulled++;
      controller.enqueue(new TextEncoder().encode(review()));
      controller.close();
    },
  }, { highWaterMark: 0 });
  const answered = handler(post(body));
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(pulled, 0);
  known.resolve();
  assert.equal((await answered).status, 200);
});

Deno.test("webhookHandler() is ready when it knows the classes", async () => {
  const get = (path: string) => new Request(`https://webhook${path}`);
  assert.deepEqual(await answer(get("/healthz")), { status: 200, text: "ok\n" });
  assert.deepEqual(await answer(get("/readyz")), { status: 200, text: "ok\n" });
  const never: WebhookParts["options"] = (signal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  assert.deepEqual(await answer(get("/healthz"), { options: never }), {
    status: 200,
    text: "ok\n",
  });
  const { status, text } = await answer(get("/readyz"), { options: never });
  assert.deepEqual([status, text], [503, "the API server has not answered yet\n"]);
});
