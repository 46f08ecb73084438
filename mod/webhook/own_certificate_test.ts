import assert from "node:assert/strict";
import { FakeClock } from "../../tests/support/agent_fakes.ts";
import { issueCertificate, type IssuedCertificate } from "../certificates/issued.ts";
import { authoritiesIn } from "../certificates/trust_bundle.ts";
import { OwnCertificate } from "./own_certificate.ts";
import type { CertificateStore, Trust } from "./ports.ts";

const NAMES = ["network-dra-webhook.kube-system.svc"];
const EMPTY: IssuedCertificate = { ca: "", cert: "", key: "" };
const [SECOND, MINUTE, HOUR, DAY] = [1_000, 60_000, 3_600_000, 24 * 3_600_000] as const;

/** The Secret and the configuration of two webhooks, as replicas share them. */
class FakeStore implements CertificateStore {
  certificate = EMPTY;
  bundles = ["", ""];
  writes = 0;
  /** Set: what an access fails with. */
  problem: { readonly of: keyof CertificateStore; readonly error: Error } | undefined;
  #version = 0;
  #trustVersion = 0;
  readonly clock: FakeClock;

  constructor(clock: FakeClock) {
    this.clock = clock;
  }

  /** By someone else. */
  change(certificate: Partial<IssuedCertificate>): void {
    this.certificate = { ...this.certificate, ...certificate };
    this.#version++;
  }

  async read() {
    await this.#passes("read");
    const { certificate } = this;
    return { version: `${this.#version}`, certificate, now: this.clock.now() };
  }

  async write(certificate: IssuedCertificate, { version }: { readonly version: string }) {
    await this.#passes("write");
    if (version !== `${this.#version}`) return false;
    this.change(certificate);
    this.writes++;
    return true;
  }

  async readTrust(): Promise<Trust> {
    await this.#passes("readTrust");
    return { version: `${this.#trustVersion}`, bundles: [...this.bundles] };
  }

  async writeTrust(bundle: string, { trust }: { readonly trust: Trust }) {
    await this.#passes("writeTrust");
    if (trust.version !== `${this.#trustVersion}`) return false;
    this.bundles = this.bundles.map(() => bundle);
    this.#trustVersion++;
    return true;
  }

  trusted(): string[] {
    assert.equal(new Set(this.bundles).size, 1, "all webhooks trust the same");
    return authoritiesIn(this.bundles);
  }

  async #passes(what: keyof CertificateStore): Promise<void> {
    await Promise.resolve();
    if (this.problem?.of === what) throw this.problem.error;
  }
}

function bench() {
  const clock = new FakeClock();
  const made: string[] = [];
  const log = { info: (_: string, { why }: Record<string, unknown>) => void made.push(`${why}`) };
  const store = new FakeStore(clock);
  const { signal } = new AbortController();
  const replica = () => new OwnCertificate(store, { names: NAMES, log, clock, signal });
  return { clock, made, store, replica };
}

/** Lets replicas look again and again; API servers must have trusted what each serves. */
async function look(
  { clock, store }: ReturnType<typeof bench>,
  replicas: readonly OwnCertificate[],
  ms: number,
  step = Math.max(10 * SECOND, ms / 12),
): Promise<IssuedCertificate[]> {
  let served: IssuedCertificate[] = [];
  for (let passed = 0; passed <= ms; passed += step) {
    if (passed > 0) await clock.advance(step);
    const before = store.trusted();
    served = await Promise.all(replicas.map((each) => each.read()));
    for (const { ca } of served) {
      assert.ok(store.trusted().includes(ca));
      assert.ok(before.length === 0 || before.includes(ca), "served before it was trusted");
    }
  }
  return served;
}

Deno.test("OwnCertificate: two replicas that start at once share one certificate", async () => {
  const own = bench();
  const replicas = [own.replica(), own.replica()];
  const served = await Promise.all(replicas.map((each) => each.read()));
  assert.deepEqual(served[0], served[1]);
  assert.equal(own.store.writes, 1);
  assert.deepEqual(own.store.trusted(), [served[0]!.ca]);
  assert.deepEqual(own.made, ["there is none"]);
  assert.deepEqual(await look(own, replicas, HOUR), [served[0], served[0]]);
  assert.equal(own.store.writes, 1, "it stays");
});

Deno.test("OwnCertificate: the next one is trusted for a minute before it is served, the last one for an hour", async () => {
  const own = bench();
  const replicas = [own.replica(), own.replica()];
  const [first] = await look(own, replicas, 2 * MINUTE);
  await own.clock.advance(60 * DAY - 10 * MINUTE);
  assert.deepEqual(await look(own, replicas, 0), [first, first]);
  await own.clock.advance(10 * MINUTE);
  assert.deepEqual(await look(own, replicas, 50 * SECOND), [first, first]);
  assert.equal(own.store.writes, 2);
  const next = own.store.certificate;
  assert.deepEqual(own.store.trusted(), [next.ca, first!.ca]);
  assert.deepEqual(await look(own, replicas, 10 * SECOND), [next, next]);
  await look(own, replicas, 50 * MINUTE);
  assert.deepEqual(own.store.trusted(), [next.ca, first!.ca]);
  await look(own, replicas, 10 * MINUTE);
  assert.deepEqual(own.store.trusted(), [next.ca]);
  assert.equal(own.store.writes, 2);
});

Deno.test("OwnCertificate: a replica that starts meanwhile serves the newest", async () => {
  const own = bench();
  const old = own.replica();
  const [first] = await look(own, [old], MINUTE);
  own.store.change(EMPTY);
  assert.deepEqual(await look(own, [old], 0), [first]);
  const { certificate } = own.store;
  assert.notEqual(certificate.cert, first!.cert);
  assert.deepEqual(await look(own, [old, own.replica()], 0), [first, certificate]);
});

Deno.test("OwnCertificate: a Secret that someone damages or empties is made anew, and no request fails", async (t) => {
  const other = issueCertificate(NAMES, new Date("2026-01-01T00:00:00Z"));
  const foreign = issueCertificate(["else.svc"], new Date("2026-01-01T00:00:00Z"));
  const cases: Record<string, [Partial<IssuedCertificate>, RegExp]> = {
    "emptied": [EMPTY, /there is none/],
    "another key": [{ key: other.key }, /its key is of another certificate/],
    "another authority": [{ ca: other.ca }, /it is not signed by its authority/],
    "rubbish": [{ cert: "\u0000rubbish" }, /it cannot be read/],
    "no key": [{ key: "" }, /it cannot be read/],
    "of another server": [foreign, /it is not for network-dra-webhook\.kube-system\.svc/],
  };
  for (const [name, [change, why]] of Object.entries(cases)) {
    await t.step(name, async () => {
      const own = bench();
      const replicas = [own.replica(), own.replica()];
      const [first] = await look(own, replicas, MINUTE);
      own.store.change(change);
      assert.deepEqual(await look(own, replicas, 50 * SECOND), [first, first]);
      assert.equal(own.store.writes, 2);
      assert.match(own.made[1]!, why);
      const next = own.store.certificate;
      assert.deepEqual(own.store.trusted(), [next.ca, first!.ca]);
      assert.deepEqual(await look(own, replicas, 10 * SECOND), [next, next]);
    });
  }
});

Deno.test("OwnCertificate: an expired certificate is replaced at once, also after the clock was set forward", async () => {
  const own = bench();
  const replicas = [own.replica(), own.replica()];
  const [first] = await look(own, replicas, MINUTE);
  own.clock.set(91 * DAY);
  const served = await Promise.all(replicas.map((each) => each.read()));
  assert.equal(own.store.writes, 2);
  assert.notEqual(served[0]!.cert, first!.cert);
  assert.deepEqual(served[0], served[1]);
  assert.ok(own.store.trusted().includes(served[0]!.ca));
});

Deno.test("OwnCertificate: a clock that is set back by hours changes nothing, by days makes another", async () => {
  const own = bench();
  const replicas = [own.replica(), own.replica()];
  const [first] = await look(own, replicas, MINUTE);
  own.clock.set(-20 * HOUR);
  assert.deepEqual(await look(own, replicas, HOUR), [first, first]);
  own.clock.set(-10 * DAY);
  const served = await Promise.all(replicas.map((each) => each.read()));
  assert.equal(own.store.writes, 2);
  assert.notEqual(served[0]!.cert, first!.cert);
  assert.deepEqual(await look(own, replicas, 2 * HOUR), served);
  assert.equal(own.store.writes, 2, "the replicas do not take turns");
});

Deno.test("OwnCertificate: a bundle that someone changes, or has of another source, is mended", async () => {
  const own = bench();
  const before = issueCertificate(NAMES, own.clock.now()).ca;
  own.store.bundles = [before, ""];
  const replica = own.replica();
  const served = await replica.read();
  assert.deepEqual(own.store.trusted(), [served.ca, before], "who serves by it still can");
  own.store.bundles = ["rubbish", served.ca];
  await replica.read();
  assert.deepEqual(own.store.trusted(), [served.ca]);
});

Deno.test("OwnCertificate: what cannot be trusted yet is not served in place of what is", async () => {
  const own = bench();
  const replica = own.replica();
  const [first] = await look(own, [replica], MINUTE);
  own.store.change(EMPTY);
  own.store.problem = { of: "writeTrust", error: new Error("forbidden") };
  for (let passed = 0; passed < 2 * HOUR; passed += 10 * MINUTE) {
    await assert.rejects(replica.read(), /forbidden/);
    await own.clock.advance(10 * MINUTE);
  }
  own.store.problem = undefined;
  assert.deepEqual(await look(own, [replica], 50 * SECOND), [first]);
  assert.deepEqual(own.store.trusted(), [own.store.certificate.ca, first!.ca]);
  assert.deepEqual(await look(own, [replica], 10 * SECOND), [own.store.certificate]);
});

Deno.test("OwnCertificate says when the API server does not answer, or others always write first", async () => {
  const own = bench();
  const replica = own.replica();
  own.store.problem = { of: "read", error: new Error("no answer") };
  await assert.rejects(replica.read(), /no answer/);
  own.store.problem = undefined;
  own.store.write = () => Promise.resolve(false);
  await assert.rejects(replica.read(), /^Error: others change the Secret again and again$/);
});
