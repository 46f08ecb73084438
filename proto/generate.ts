/**
 * Generates proto/gen from the .proto files beside it (`deno task gen`).
 *
 * Both tools come from the npm registry in one exact version each: buf reads the .proto files,
 * protoc-gen-es writes TypeScript.
 */
const root = new URL(".", import.meta.url).pathname;
const buf = "npm:@bufbuild/buf@1.74.0/buf";
const plugin = "npm:@bufbuild/protoc-gen-es@2.17.0/protoc-gen-es";
const template = {
  version: "v2",
  clean: true,
  plugins: [{
    local: [Deno.execPath(), "run", "-A", plugin],
    out: "gen",
    opt: ["target=ts", "import_extension=ts"],
  }],
};
const { success } = await new Deno.Command(Deno.execPath(), {
  args: ["run", "-A", buf, "generate", "--template", JSON.stringify(template)],
  cwd: root,
}).spawn().status;
if (!success) Deno.exit(1);
