/** Agents that are broken on purpose, each by changes of its code: what the simulation must notice. */

/** In a file of mod, a text that is there once becomes another. */
export interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export interface BrokenAgent {
  /** What is wrong with it. */
  readonly name: string;
  readonly changes: readonly Change[];
}

function broken(name: string, ...changes: readonly (readonly [string, string, string])[]) {
  return { name, changes: changes.map(([file, from, to]) => ({ file, from, to })) };
}

const WORKER = "agent/attachments/pod_attachments.ts";
const EFFECTS = "agent/attachments/effects.ts";
const STATE = "agent/attachments/attachment_state.ts";
const AGENT = "agent/agent.ts";
const GATE = "agent/admission/gate.ts";
const ADMISSION = "agent/admission/container_admission.ts";
const CHECKS = "agent/upkeep/check_loop.ts";
const RECORDED = "agent/handover/recorded_admission.ts";
const ELECTION = "agent/handover/leader_election.ts";
const ACTIVE = "agent/handover/active_agent.ts";
const STATUS = "agent/status/device_status.ts";
const WRITER = "agent/status/status_writer.ts";
const UNPREPARE = "agent/claims/unprepare.ts";
const DURABLE = "files/durable.ts";
const JOURNAL = "journal/journal.ts";
const CLUSTER = "kube/cluster.ts";
const ADDRESSED = "addresses/addressed_cni.ts";
const REQUESTS = "addresses/address_requests.ts";
const UPKEEP = "addresses/address_upkeep.ts";

export const BROKEN_AGENTS: readonly BrokenAgent[] = [
  // Attachments.
  broken("does not look whether the interface's name is free", [
    EFFECTS,
    "if (!seen?.has(ifName)) return;",
    "return;",
  ]),
  broken("takes another plugin's interface for what its failed ADD left", [
    EFFECTS,
    "if (!seen?.has(ifName)) return;",
    "return;",
  ], [
    EFFECTS,
    "const foreign = isTaken || await this.#isAbsent(tracked);",
    "const foreign = isTaken && false;",
  ]),
  broken("takes a CHECK that fails for what ADD has just made for a loss", [
    WORKER,
    'if (finding?.state !== "lost" || attached.checked) return finding;',
    "if (attached) return finding;",
  ]),
  broken("takes one CHECK that fails for a proof", [
    CHECKS,
    "const sure = network.current(entry)?.lost !== undefined;",
    "const sure = true;",
  ]),
  broken("lets an operation begin while CHECK runs in the sandbox", [
    WORKER,
    "      await this.#endChecking();\n      const failed",
    "      const failed",
  ]),
  broken("opens the gate before the result is on disk", [
    STATE,
    'return hasResult(situation) && (situation.record === "older" || situation.record === "result");',
    "return hasResult(situation);",
  ]),
  broken("writes no intent before ADD", [
    EFFECTS,
    "await this.#ports.journal.putAttachment(intent);",
    "",
  ], [
    EFFECTS,
    "journal.noteAddStarted(tracked.intent!);",
    "",
  ]),
  broken("does not note that an ADD begins", [
    EFFECTS,
    "journal.noteAddStarted(tracked.intent!);",
    "",
  ]),
  broken("removes the record before DEL", [
    EFFECTS,
    "        return await this.#del(tracked, effect);",
    "        await journal.removeAttachment(this.#record(tracked));\n" +
    "        return await this.#del(tracked, effect);",
  ]),
  broken("forgets what a failed DEL left", [
    STATE,
    'if (desired.kind === "given_up") return undone(situation);',
    "return undone(situation);",
  ]),
  broken("goes on as if a failed DEL of a repair had undone nothing", [
    STATE,
    "if (!isWanted && (isTold || !foreign)) return situation;",
    "if (isTold || !foreign) return situation;",
  ]),
  broken("keeps to itself that a failed DEL left no interface", [
    STATE,
    'const isOnRecord = situation.record === "failed" && !foreign;',
    'const isOnRecord = situation.record === "failed";',
  ]),
  broken("detaches nothing when a sandbox stops", [
    WORKER,
    'for (const each of this.#attachments.values()) each.apply({ kind: "unwanted" });',
    "",
  ]),
  broken("keeps the namespaces of sandboxes that ended", [
    WORKER,
    "if (this.#attachments.size === 0) this.#cni.releaseNamespace();",
    "",
  ]),
  broken("makes anew what an earlier run left under running containers", [
    STATE,
    'return started ? { kind: "recall" } : { kind: "del", namespace: "pod" };',
    'return { kind: "del", namespace: "pod" };',
  ]),
  broken("takes a sandbox with containers for a fresh one when its state is lost", [
    WORKER,
    'const fresh = this.#started ? unknown("none") : NEW;',
    "const fresh = NEW;",
  ], [
    EFFECTS,
    "if (!seen?.has(ifName)) return;",
    "return;",
  ], [
    EFFECTS,
    "const foreign = isTaken || await this.#isAbsent(tracked);",
    "const foreign = isTaken && false;",
  ]),
  broken("never gives up what can neither be attached nor detached", [
    WORKER,
    'return mayNeverHaveBeen(state.situation) ? "never_attached" : undefined;',
    "return undefined;",
  ]),
  broken("forgets at a restart that ADD had failed", [
    STATE,
    'if (!addFailed) return { kind: "unknown", record: "begun" };',
    'if (!addFailed || true) return { kind: "unknown", record: "begun" };',
  ], [
    STATE,
    'return kind === "failed" && !situation.attached || kind === "leftover" || kind === "unknown";',
    'return kind === "failed" && !situation.attached;',
  ]),
  broken("does not attach anew what is lost", [
    STATE,
    'const kind = event.repair && desired.kind === "present" ? "repairing" : "lost";',
    'const kind = "lost" as "lost" | "repairing";',
  ]),
  broken("does not take back that something is lost", [
    STATE,
    '        return { kind: "there", record: outdated(situation.record), attached };\n      }\n      break;\n    case "intent_recorded":',
    '        return { ...situation, attached: { ...situation.attached, checked: attached.checked } };\n      }\n      break;\n    case "intent_recorded":',
  ]),
  broken("lets another agent operate before its own operations have ended", [
    WORKER,
    "    await this.#worked;\n    this.#cni.releaseNamespace();",
    "    this.#cni.releaseNamespace();",
  ]),
  broken("runs more operations at once than told", [
    "async/limiter.ts",
    "if (ended.signal.aborted || this.#placeless >= this.#waiting!.most) return;",
    "if (this.#placeless >= this.#waiting!.most) return;",
  ]),
  // Admission.
  broken("lets containers in before their networks are there", [
    GATE,
    "await network.ready(signal);",
    "",
  ]),
  broken("does not wait until it is known which claims a pod shares", [
    AGENT,
    "claimsKnown: (sandbox, signal) => this.#shared.known(sandbox, signal),",
    "claimsKnown: () => Promise.resolve(),",
  ]),
  broken("allows containers to start as soon as their sandbox runs", [
    "agent/admission/claim_access.ts",
    'return !away && (isWanted || isAwaited) ? "wait" : "none";',
    'return !away && (isWanted || isAwaited) ? "pass" : "none";',
  ]),
  broken("leaves the file by which containers start", [
    ADMISSION,
    "        await files.refuseCreate(uid);\n        return await files.refuseStart(uid);\n      case",
    "        return await files.refuseCreate(uid);\n      case",
  ]),
  broken("leaves the CDI files of claims that no sandbox uses", [
    ADMISSION,
    "      if (claimUids.has(uid) || this.#wishes.has(uid)) continue;",
    '      if (claimUids.has(uid) || uid !== "") continue;',
  ]),
  // Records.
  broken("does not sync what it writes", [DURABLE, "      await file.sync();\n", ""]),
  broken("does not sync the folder that it renames in", [
    DURABLE,
    "    throw error;\n  }\n  await syncFolderOf(path);",
    "    throw error;\n  }",
  ]),
  broken("ends at a record that it cannot read", [
    JOURNAL,
    "          unreadable.push(name);\n          await this.#putAside(path, error);",
    "          throw error;",
  ]),
  broken("does not remember of which claim a record cannot be read", [
    JOURNAL,
    "          unreadable.push(name);\n          await this.#putAside(path, error);",
    "          await this.#putAside(path, error);",
  ]),
  broken("leaves the records of attachments", [
    JOURNAL,
    "await this.#remove(ATTACHMENTS, attachmentFile(record));",
    "await Promise.resolve(record);",
  ]),
  // Claims.
  broken("forgets a claim before its networks are detached", [
    UNPREPARE,
    "await Promise.all(leaving.map((network) => network.released(ref.uid, until)));",
    "break;",
  ]),
  broken("takes the networks of running pods when the kubelet unprepares their claim", [
    UNPREPARE,
    "const kept = claims.get(claimUid)?.shareable === false ? [] : this.#users(claimUid);",
    "const kept: PodAttachments[] = [];",
  ]),
  broken("keeps for ever what it has kept for running pods", [
    UNPREPARE,
    "if (!this.#isUnused(uid) || this.#leaving.has(uid)",
    'if (!this.#isUnused(uid) || uid !== ""',
  ], [
    // Else it goes as a claim that is not allocated any more.
    UNPREPARE,
    "if (claims.get(claim.uid) !== record || sandboxes.inUse(claim.uid)) return;",
    "if (record.unprepared || claims.get(claim.uid) !== record || " +
    "sandboxes.inUse(claim.uid)) return;",
  ]),
  broken("leaves the records of claims", [UNPREPARE, "await claims.remove(ref.uid);", ""]),
  broken("waits without a limit at Unprepare", [
    UNPREPARE,
    "using limit = timeLimit(clock, UNPREPARE_LIMIT_MS, signal);",
    "using limit = timeLimit(clock, 1e9, signal);",
  ], [
    ACTIVE,
    "agent.unprepare(refs, AbortSignal.any([until, over.signal, this.#closed.signal])),",
    "agent.unprepare(refs, AbortSignal.any([signal, over.signal, this.#closed.signal])),",
  ]),
  broken("puts no prepared claim on disk", [
    "agent/claims/store.ts",
    "await this.#follow(this.#journal.putClaim(record));",
    "await Promise.resolve();",
  ]),
  broken("answers Prepare from its record, whatever is allocated now", [
    "agent/claims/prepare.ts",
    "if (record) return await this.#compare(record, signal);",
    'if (record) return { kind: "on record", record };',
  ]),
  broken("writes a claim's record while Unprepare removes it", [
    "agent/claims/shared_claims.ts",
    "import { type KeyedLock, NoTurnError }",
    "import { KeyedLock, NoTurnError }",
  ], [
    "agent/claims/shared_claims.ts",
    "      locks: options.locks,\n",
    "      locks: new KeyedLock(),\n",
  ]),
  broken("keeps claims that are not allocated any more", [
    "agent/claims/stale_claims.ts",
    'return devices.length === 0 ? "is not allocated any more" : "has other devices now";',
    "return undefined;",
  ]),
  broken("gives interfaces of one pod the same name", [
    "agent/claims/planner.ts",
    "assignInterfaceNames(draft, [...others.values()])",
    "assignInterfaceNames(draft, [])",
  ]),
  // Handover.
  broken("lets in, as a stand-by, pods that may share a claim that is not on record for them", [
    RECORDED,
    "if (candidates.length > 0 || unreadable) {",
    "if (candidates.length > 1e9 || unreadable) {",
  ]),
  broken("lets in, as a stand-by, whatever comes", [
    ACTIVE,
    "if (missing === undefined) return;",
    "if (missing === undefined || true) return;",
  ]),
  broken("takes a look at the next lock for a claim to lead", [
    "lead/lead_locks.ts",
    "return !file.tryLockSync(false);",
    "return !file.tryLockSync(true);",
  ], [
    ELECTION,
    "if (nextStands()) return over.abort();",
    "if (until) return over.abort();",
  ], [
    ELECTION,
    "    if (!lock.take()) return false;\n    let leads = isNext;",
    "    if (!lock.take()) {\n      if (!isNext) lock.nextStands();\n      return false;\n    }\n" +
    "    let leads = isNext;",
  ]),
  broken("gives the lead away before it has ended", [
    ELECTION,
    "if (nextStands()) return over.abort();",
    "if (nextStands()) {\n        lock.release();\n        return over.abort();\n      }",
  ]),
  // Status.
  broken("does not write again what the API server did not take", [
    WRITER,
    "if (!isLast) throw error;",
    "",
  ]),
  broken("says that networks are there that are going", [
    STATUS,
    "      entry.wanted && attachmentKey(entry.claim, entry.attachment) === key",
    "      attachmentKey(entry.claim, entry.attachment) === key",
  ]),
  broken("says that an attachment is ready that has failed", [
    STATUS,
    "conditions: [condition({ failed, lost, attached }, present.length)],",
    "conditions: [condition({ failed: attached ? undefined : failed, lost: undefined, attached }, " +
    "present.length)],",
  ]),
  broken("removes what another node wrote", [
    CLUSTER,
    "if (devices.length === 0) return await this.#patch(claim, { devices, signal });",
    "",
  ]),
  broken("writes no status that server-side apply cannot write", [
    CLUSTER,
    "if (isOfAllocation(error)) return await this.#patch(claim, { devices, signal });",
    "",
  ]),
  broken("removes other drivers' entries where it patches a status", [
    "kube/entries_patch.ts",
    "if (found.driver !== driver) return;",
    "",
  ]),
  broken("writes more than the API server takes, again and again", [
    STATUS,
    '    .replaceAll(/[<>&\\u2028\\u2029]/g, "\\\\u0000")\n',
    "",
  ], [
    WRITER,
    "return (error as Partial<Refusal>).refused === true;",
    "return (error as Partial<Refusal>).refused === undefined && false;",
  ]),
  broken("says another address than the pod has", [
    "cni/network_data.ts",
    "if (!ip.isIPv4MappedAddress()) return `${ip.toRFC5952String()}/${prefix}`;",
    "if (!/\\./.test(text)) return `${ip.toRFC5952String()}/${prefix}`;\n" +
    '  if (!ip.isIPv4MappedAddress()) return `${text.replace(/^.*:/, "")}/${prefix - 96}`;',
  ]),
  // Addresses of the cluster.
  broken("gives addresses back before DEL", [
    ADDRESSED,
    "await this.#cni.del(given.network, given.runtime, prevResult, signal);\n",
    "await this.#giveBack(network, runtime, signal);\n" +
    "    await this.#cni.del(given.network, given.runtime, prevResult, signal);\n",
  ]),
  broken("never gives addresses back", [
    ADDRESSED,
    "await this.#book?.giveBack(ownerOf(network, runtime), { keepMs, signal });",
    "void keepMs;",
  ], [
    UPKEEP,
    "!kept.has(keyOf(owner)) && !lives(owner.containerID)",
    "!kept.has(keyOf(owner)) && owner.containerID === undefined",
  ]),
  broken("takes an address that another attachment has", [
    REQUESTS,
    "return api.create(address, { whose: whose || asked, signal });",
    "return api.create(address, { whose: asked || true, signal });",
  ], [
    REQUESTS,
    "if (found && isSameOwner(found.owner, address.owner)) {",
    "if (found) {",
  ]),
  broken("frees the addresses of attachments that are on record", [
    UPKEEP,
    "!kept.has(keyOf(owner)) && !lives(owner.containerID)",
    "kept.has(keyOf(owner))",
  ]),
  broken("leaves addresses that an agent asked for and did not live to use", [
    UPKEEP,
    "!kept.has(keyOf(owner)) && !lives(owner.containerID)",
    "!kept.has(keyOf(owner)) && owner.containerID === undefined",
  ], [
    "addresses/own_addresses.ts",
    "    this.#addresses.set(name, address);\n  }\n\n  #gone",
    "  }\n\n  #gone",
  ]),
  // What stands around.
  broken("runs plugins with the environment that a request says", [
    "cni/plugin_runner.ts",
    'const env = { ...options.env, ...SURROUNDINGS, CNI_PATH: cniPath.join(":") };',
    'const env = { ...SURROUNDINGS, CNI_PATH: cniPath.join(":"), ...options.env };',
  ], [
    "cni/plugin_runner.ts",
    "if (foreign.length > 0) {",
    "if (foreign.length > 1e9) {",
  ]),
  broken("takes driver names that runtimes do not", [
    "cmd/settings.ts",
    "new RegExp(`^(?=[a-z])${label}",
    "new RegExp(`^${label}",
  ]),
];
