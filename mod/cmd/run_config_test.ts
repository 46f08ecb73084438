import assert from "node:assert/strict";
import { RUN } from "./commands/run.ts";
import type { Flag } from "./flag.ts";
import { parseRunConfig, readRunConfig } from "./run_config.ts";
import { UsageError } from "./usage_error.ts";

const POD_UID = "4f1c5a1e-0b5e-4b0e-9d0a-2f8f3a1c7e55";

function parse(
  argv: string[],
  { env = {}, file }: { env?: Record<string, string>; file?: string } = {},
) {
  return parseRunConfig(argv, {
    env: (name) => env[name],
    readFile: (path) => {
      if (path !== "/etc/config.yaml" || file === undefined) throw new Error("no such file");
      return file;
    },
    hostname: () => "host-1",
    cores: 2,
  });
}

Deno.test("parseRunConfig() has the defaults that the documentation names", () => {
  assert.deepEqual(parse([]), {
    nodeName: "host-1",
    driverName: "dra.networking",
    kubeletDir: "/var/lib/kubelet",
    nriSocket: "/var/run/nri/nri.sock",
    netnsDir: "/var/run/netns",
    pluginName: "network-dra",
    pluginIndex: "53",
    cniPath: ["/opt/cni/bin"],
    chrootDir: "",
    cniTimeout: 30_000,
    stateDir: "/var/lib/network-dra",
    cdiDir: "/var/run/cdi",
    deviceMetadata: true,
    concurrency: 4,
    listen: { hostname: "127.0.0.1", port: 9177 },
    metricsSecure: null,
    metricsCert: "",
    metricsKey: "",
    tracesEndpoint: "",
    interfaces: {},
    attachmentsPerInterface: 256,
    copiesPerInterface: 16,
    checkInterval: 60_000,
    repair: false,
    gcNetworks: [],
    sysfsDir: "/sys",
    networkDir: "",
    networkObjects: false,
    networkAttachmentDefinitions: false,
    networkCacheTime: 0,
    leaseNamespace: "kube-system",
    policy: {},
    logLevel: "info",
    logFormat: "text",
  });
});

Deno.test("a flag overrides its variable, which overrides the file, which overrides the default", () => {
  const file = "driverName: from.file\nconcurrency: 7\n";
  const flags = ["--config", "/etc/config.yaml"];
  const env = { NETWORK_DRA_DRIVER_NAME: "from.env" };
  assert.equal(
    parse([...flags, "--driver-name", "from.flag"], { env, file }).driverName,
    "from.flag",
  );
  assert.equal(parse(flags, { env, file }).driverName, "from.env");
  assert.equal(parse(flags, { file }).driverName, "from.file");
  assert.equal(parse(flags, { file }).concurrency, 7);
  assert.equal(parse([], { env: { NETWORK_DRA_CONFIG: "/etc/config.yaml" }, file }).concurrency, 7);
});

Deno.test("readRunConfig() tells where each setting was given", () => {
  const { places } = readRunConfig(
    ["--config", "/etc/config.yaml", "--dra-driver-name", "a", "--concurrency=3"],
    {
      env: (name) => ({ KUBECONFIG: "/k", NETWORK_DRA_CONCURRENCY: "4" })[name],
      readFile: () => "logLevel: debug\nconcurrency: 5\n",
      hostname: () => "host-1",
      cores: 2,
    },
  );
  assert.deepEqual(places, {
    driverName: "--dra-driver-name",
    kubeconfig: "KUBECONFIG",
    concurrency: "--concurrency",
    logLevel: "/etc/config.yaml: logLevel",
  });
});

Deno.test("the file says what claims may ask for", () => {
  const file = "policy: {inline: false, networks: [lan-*]}\nnetworkDir: /etc/networks\n";
  const { policy, networkDir } = parse(["--config", "/etc/config.yaml"], { file });
  assert.deepEqual(policy, { inline: false, networks: ["lan-*"] });
  assert.equal(networkDir, "/etc/networks");
});

Deno.test("the policies that the documentation shows can be said", async () => {
  for (const page of ["docs/security.md"]) {
    const text = await Deno.readTextFile(new URL(`../../${page}`, import.meta.url));
    const blocks = [...text.matchAll(/```yaml\n(.*?)```/gs)].map(([, block]) => block!);
    const shown = blocks.filter((block) => /^policy:/m.test(block));
    assert.equal(shown.length, 1, page);
    for (const file of shown) {
      assert.ok(
        parse(["--config", "/etc/config.yaml"], { file }).policy.namespaces!.length > 0,
        page,
      );
    }
  }
});

Deno.test("a switch is turned on by its flag, its variable or the file", () => {
  const config = ["--config", "/etc/config.yaml"];
  assert.equal(parse([], { env: { NETWORK_DRA_REPAIR: "true" } }).repair, true);
  assert.equal(parse(config, { file: "repair: true" }).repair, true);
  assert.equal(parse([...config, "--repair"], { file: "repair: false" }).repair, true);
});

Deno.test("the file says which interfaces are devices", () => {
  const file = "interfaces: {include: [eth*, bond0], exclude: [eth9]}\nconcurrency: 3\n";
  const { interfaces, concurrency } = parse(["--config", "/etc/config.yaml"], { file });
  assert.deepEqual(interfaces, { include: ["eth*", "bond0"], exclude: ["eth9"] });
  assert.equal(concurrency, 3);
});

Deno.test("every setting is read as what it is", async (t) => {
  const cases: [string[], string, unknown][] = [
    [["--node-name=n1"], "nodeName", "n1"],
    [["--dra-driver-name", "poc.dra.networking"], "driverName", "poc.dra.networking"],
    [["--cni-cache-dir", "/var/lib/x"], "stateDir", "/var/lib/x"],
    [["--cni-path", "/a:/b"], "cniPath", ["/a", "/b"]],
    [["--cni-timeout", "1.5s"], "cniTimeout", 1500],
    [["--cni-timeout", "500ms"], "cniTimeout", 500],
    [["--cni-timeout", "2m"], "cniTimeout", 120_000],
    [["--cdi-dir", ""], "cdiDir", ""],
    [["--device-metadata", "false"], "deviceMetadata", false],
    [["--plugin-index", "00"], "pluginIndex", "00"],
    [["--kubeconfig", "/k"], "kubeconfig", "/k"],
    [["--listen", "localhost:80"], "listen", { hostname: "localhost", port: 80 }],
    [["--listen", "[::1]:65535"], "listen", { hostname: "::1", port: 65535 }],
    [["--listen", ":9177"], "listen", { hostname: "::", port: 9177 }],
    [["--listen", ""], "listen", null],
    [["--check-interval", "10s"], "checkInterval", 10_000],
    [["--check-interval", "0"], "checkInterval", 0],
    [["--repair"], "repair", true],
    [["--gc-networks", "lan,storage-2"], "gcNetworks", ["lan", "storage-2"]],
    [["--log-level", "debug"], "logLevel", "debug"],
    [["--log-format", "json"], "logFormat", "json"],
  ];
  for (const [argv, key, value] of cases) {
    await t.step(argv.join(" "), () => {
      assert.deepEqual((parse(argv) as unknown as Record<string, unknown>)[key], value);
    });
  }
});

Deno.test("what is wrong is named with where it stands and what it takes", async (t) => {
  const config = ["--config", "/etc/config.yaml"];
  const cases: Record<
    string,
    { argv: string[]; env?: Record<string, string>; file?: string; says: RegExp }
  > = {
    "an unknown flag": { argv: ["--bogus"], says: /^unknown flag --bogus$/ },
    "a flag without its value": { argv: ["--node-name"], says: /^--node-name: value is missing/ },
    "a negative number": {
      argv: ["--concurrency", "-1"],
      says: /^--concurrency: "-1" is not valid; must be a whole number from 1 to 1024$/,
    },
    "a negative time": {
      argv: ["--check-interval", "-5s"],
      says: /^--check-interval: "-5s" is not valid; must be a time .*, or 0$/,
    },
    "an argument": { argv: ["word"], says: /^unexpected argument "word"$/ },
    "an empty name": { argv: ["--node-name", ""], says: /^--node-name: "" .* a name/ },
    "a driver name in capitals": { argv: ["--driver-name", "A"], says: /DNS name in lower case/ },
    "a driver name that is too long": { argv: ["--driver-name", "a".repeat(64)], says: /63/ },
    "a driver name that begins with a digit, which CDI refuses": {
      argv: ["--driver-name", "4net.example.com"],
      says: /^--driver-name: "4net\.example\.com" .* that begins with a letter/,
    },
    "a driver name that makes a socket's path too long beside a pod's UID": {
      argv: ["--driver-name", "network.dra.example-company.com", "--pod-uid", POD_UID],
      says: /^--driver-name: .*example-company\.com-4f1c.* has 111 bytes.* at most 27 characters$/,
    },
    "a kubelet folder that leaves no room for a driver name": {
      argv: ["--kubelet-dir", `/${"k".repeat(90)}`],
      says: /use a shorter kubelet folder$/,
    },
    "a time that is none": {
      argv: ["--check-interval", "1h"],
      says: /^--check-interval: "1h" .* a time from 1ms to 60m, .*, or 0$/,
    },
    "a switch that is neither on nor off": {
      argv: [],
      env: { NETWORK_DRA_REPAIR: "yes" },
      says: /^NETWORK_DRA_REPAIR: "yes" .* true or false/,
    },
    "a network's name that is none": {
      argv: ["--gc-networks", "lan,*"],
      says: /^--gc-networks: "lan,\*" .* names of networks/,
    },
    "a relative path": {
      argv: ["--state-dir", "x"],
      says: /^--state-dir: "x" .* an absolute path/,
    },
    "a socket path of 108 bytes": {
      argv: ["--nri-socket", `/${"x".repeat(107)}`],
      says: /at most 107 bytes/,
    },
    "an index of one digit": { argv: ["--plugin-index", "5"], says: /two digits, 00 to 99/ },
    "no width": { argv: ["--concurrency", "0"], says: /a whole number from 1 to 1024/ },
    "half a width": { argv: ["--concurrency", "1.5"], says: /a whole number/ },
    "a time without a unit": { argv: ["--cni-timeout", "30"], says: /such as 500ms, 30s or 2m/ },
    "an address without a port": { argv: ["--listen", "localhost"], says: /HOST:PORT, such as/ },
    "a port that is none": { argv: ["--listen", "localhost:65536"], says: /HOST:PORT, such as/ },
    "an IPv6 address without brackets": { argv: ["--listen", "::1:80"], says: /HOST:PORT/ },
    "a collector without a scheme": {
      argv: ["--traces-endpoint", "10.0.0.5:4318"],
      says: /^--traces-endpoint: .*such as http:\/\/10\.0\.0\.5:4318/,
    },
    "a collector with a path": {
      argv: ["--traces-endpoint", "http://otel:4318/v1/traces"],
      says: /without a path/,
    },
    "a certificate without its key": {
      argv: ["--metrics-cert", "/tls.crt"],
      says: /^--metrics-cert: give --metrics-key too/,
    },
    "an unknown level": {
      argv: ["--log-level", "loud"],
      says: /^--log-level: "loud" is not valid; must be one of debug, info, warn, error$/,
    },
    "a relative folder among others": { argv: ["--cni-path", "/a:b"], says: /absolute paths/ },
    "a bad variable": {
      argv: [],
      env: { NETWORK_DRA_CONCURRENCY: "many" },
      says: /^NETWORK_DRA_CONCURRENCY: "many"/,
    },
    "a bad value in the file": {
      argv: config,
      file: "concurrency: many",
      says: /^\/etc\/config\.yaml: concurrency: "many"/,
    },
    "a bad value in the file that a flag overrides": {
      argv: [...config, "--log-level", "debug"],
      file: "logLevel: loud",
      says: /^\/etc\/config\.yaml: logLevel: "loud"/,
    },
    "an unknown key in the file": {
      argv: config,
      file: "concurency: 1",
      says:
        /\/etc\/config\.yaml: concurency is unknown; must be one of nodeName, podUid, driverName/,
    },
    "a list in the file": { argv: config, file: "cniPath: [/a]", says: /cniPath: .* single value/ },
    "interfaces that are a list": {
      argv: config,
      file: "interfaces: [eth0]",
      says: /^\/etc\/config\.yaml: interfaces: must be an object, not \["eth0"\]/,
    },
    "a policy with an unknown key": {
      argv: ["--config", "/etc/config.yaml"],
      file: "policy: {plugins: {macvlan: {master: eth0}}}",
      says: /^\/etc\/config\.yaml: policy\.plugins\.macvlan\.master: "eth0" is not valid; must be/,
    },
    "an unknown key of interfaces": {
      argv: config,
      file: "interfaces: {only: [eth0]}",
      says: /interfaces\.only: is unknown; must be one of include, exclude/,
    },
    "a single pattern": {
      argv: config,
      file: "interfaces: {include: eth0}",
      says: /interfaces\.include: must be a list, not "eth0"/,
    },
    "a pattern that YAML reads as false": {
      argv: config,
      file: "interfaces: {exclude: [eth0, no]}",
      says: /interfaces\.exclude\[1\]: .*quotes/,
    },
    "two patterns in one": {
      argv: config,
      file: "interfaces: {exclude: ['eth0, eth1']}",
      says: /interfaces\.exclude\[0\]: "eth0, eth1" must be the name of an interface/,
    },
    "no attachments": {
      argv: ["--attachments-per-interface", "0"],
      says: /a whole number from 1 to 1000000/,
    },
    "a file that is a list": { argv: config, file: "- a", says: /must contain settings, such as/ },
    "a broken file": {
      argv: config,
      file: "a: [",
      says: /^--config \/etc\/config\.yaml: line 1, column \d+: /,
    },
    "no file": { argv: config, says: /^--config \/etc\/config\.yaml: no such file$/ },
  };
  for (const [name, { argv, env, file, says }] of Object.entries(cases)) {
    await t.step(name, () => {
      assert.throws(() => parse(argv, { env, file }), (error: unknown) => {
        assert.ok(error instanceof UsageError);
        assert.match(error.message, says);
        return true;
      });
    });
  }
});

const FLAGS: readonly Flag<unknown>[] = Object.values(RUN.flags);

Deno.test("the tasks allow every variable", async () => {
  const { tasks } = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
  );
  const allowed = tasks.run.match(/--allow-env=(\S+)/)[1].split(",");
  for (const { name, env } of FLAGS) {
    assert.ok(env && allowed.includes(env), `deno.json: tasks.run does not allow ${name}: ${env}`);
  }
});

Deno.test("settings in the file that JavaScript gives meaning to are not known", () => {
  for (const key of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
    assert.throws(
      () => parse(["--config", "/etc/config.yaml"], { file: `${key}: x` }),
      /is unknown; must be one of nodeName/,
      key,
    );
  }
});

Deno.test("no path holds a NUL byte", () => {
  for (const key of ["cniPath", "nriSocket", "stateDir", "cdiDir", "kubeletDir", "sysfsDir"]) {
    assert.throws(
      () => parse(["--config", "/etc/config.yaml"], { file: `${key}: "/a\\0b"` }),
      /is not valid; must be .*absolute path/,
      key,
    );
  }
});
