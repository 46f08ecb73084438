{{/*
The variables of a ValidatingAdmissionPolicy that find what is wrong with parameters: the first problem of
each, in the order and the words of mod/claim/parameters.ts. tests/integration/parameters_policy_test.ts
compares them with the agent. The argument is the path of the configurations.
*/}}
{{- define "network-dra.parameterVariables" -}}
# Where parameters are, and what they are.
- name: found
  expression: >-
    variables.ours.map(i, {
    "at": dyn("{{ . }}[" + string(i) + "].opaque.parameters"),
    "given": dyn(variables.configs[i].opaque.parameters)})
# The fields of their kind (none where the kind is unknown), and the one that names the interface.
- name: parameters
  expression: >-
    variables.found.map(f, {"at": f.at, "given": f.given,
    "kind": dyn(f.given.?apiVersion.orValue("") == "dra.networking/v1alpha1" && f.given.?kind.orValue("") == "Network"
    ? "Network" : f.given.?apiVersion.orValue("") == "cni.networking.x-k8s.io/v1alpha1" && f.given.?kind.orValue("") in ["CNIConfig", "CNI"]
    ? "CNI" : !("apiVersion" in f.given) && !("kind" in f.given) ? "none" : "unknown")})
- name: kinds
  expression: >-
    {"Network": {"fields": ["apiVersion", "kind", "metadata", "interfaceName", "config", "networkName",
    "networkAttachmentDefinition", "capabilities"], "name": ["interfaceName"]},
    "CNI": {"fields": ["apiVersion", "kind", "metadata", "ifName", "config"], "name": ["ifName"]},
    "none": {"fields": ["interface", "config"], "name": ["interface"]}}
- name: unknownKinds
  expression: >-
    variables.parameters.filter(f, f.kind == "unknown").map(f, f.at +
    (f.given.?apiVersion.orValue("") in ["dra.networking/v1alpha1", "cni.networking.x-k8s.io/v1alpha1"]
    ? ".kind: " + (type(f.given.?kind.orValue(0)) == string ? strings.quote(f.given.kind) + " is unknown; must be one of" : "")
    : ".apiVersion: " + (type(f.given.?apiVersion.orValue(0)) == string ? strings.quote(f.given.apiVersion) + " is unknown; must be one of" : ""))
    + (type(f.given.?kind.orValue(0)) == string && type(f.given.?apiVersion.orValue(0)) == string
    ? " dra.networking/v1alpha1 Network, cni.networking.x-k8s.io/v1alpha1 CNIConfig (or CNI), or no apiVersion and kind" : ""))
# Those of a kind that is known, with the keys that the kind does not have.
- name: known
  expression: >-
    variables.parameters.filter(f, f.kind != "unknown").map(f, {"at": f.at, "given": f.given, "kind": f.kind,
    "name": dyn(variables.kinds[string(f.kind)]["name"][0]),
    "strange": dyn(f.given.map(k, dyn(k)).filter(k, !(k in variables.kinds[string(f.kind)]["fields"])))})
- name: problems
  expression: >-
    variables.unknownKinds + variables.known.map(f,
    f.kind == "none" && f.strange.exists(k, k in ["interfaceName", "networkName", "networkAttachmentDefinition", "capabilities"])
    ? f.at + "." + f.strange.filter(k, k in ["interfaceName", "networkName", "networkAttachmentDefinition", "capabilities"])[0]
    + ": needs apiVersion and kind beside it: apiVersion: dra.networking/v1alpha1, kind: Network"
    : size(f.strange) > 0
    ? f.at + (string(f.strange[0]).matches("^[A-Za-z0-9_-]{1,64}$") ? "." + f.strange[0] : "[" + strings.quote(string(f.strange[0])) + "]")
    + ": is unknown; must be one of " + variables.kinds[string(f.kind)]["fields"].join(", ")
    : "networkAttachmentDefinition" in f.given && "networkName" in f.given
    ? f.at + ".networkName: must be left out: networkAttachmentDefinition already names the network"
    : "networkAttachmentDefinition" in f.given && "config" in f.given
    ? f.at + ".config: must be left out: networkAttachmentDefinition already names the network"
    : "networkName" in f.given && "config" in f.given
    ? f.at + ".config: must be left out: networkName already names the network"
    : "networkName" in f.given
    ? (type(f.given.networkName) != string || f.given.networkName == "" ? f.at + ".networkName: must be a string that is not empty" : "")
    : "networkAttachmentDefinition" in f.given
    ? (type(f.given.networkAttachmentDefinition) != string || f.given.networkAttachmentDefinition == ""
    ? f.at + ".networkAttachmentDefinition: must be a string that is not empty"
    : !string(f.given.networkAttachmentDefinition).matches("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")
    ? f.at + ".networkAttachmentDefinition: " + (size(f.given.networkAttachmentDefinition) > 70 ? ""
    : strings.quote(string(f.given.networkAttachmentDefinition)) + " must be NAME or NAMESPACE/NAME of a NetworkAttachmentDefinition") : "")
    : f.name in f.given && f.given[f.name] != null && (type(f.given[f.name]) != string || f.given[f.name] == "")
    ? f.at + "." + f.name + ": must be a string that is not empty"
    : f.name in f.given && f.given[f.name] != null && f.given[f.name] in ["lo", "eth0"]
    ? f.at + "." + f.name + ": " + strings.quote(string(f.given[f.name])) + " is an interface that the pod already has"
    : f.name in f.given && f.given[f.name] != null && size(bytes(string(f.given[f.name]))) > 15
    ? f.at + "." + f.name + ": the interface name " + (size(f.given[f.name]) > 70 ? "" : strings.quote(string(f.given[f.name]))
    + " has " + string(size(bytes(string(f.given[f.name])))) + " bytes; it must have 1 to 15")
    : f.name in f.given && f.given[f.name] != null && f.given[f.name] in [".", ".."]
    ? f.at + "." + f.name + ": the interface name " + strings.quote(string(f.given[f.name])) + " is not allowed"
    : f.name in f.given && f.given[f.name] != null && string(f.given[f.name]).matches("[/: \\t\\n\\r\\f]")
    ? f.at + "." + f.name + ": the interface name " + strings.quote(string(f.given[f.name])) + " must not contain \"/\", \":\" or white space"
    : f.name in f.given && f.given[f.name] != null && string(f.given[f.name]).contains("%")
    ? f.at + "." + f.name + ": the interface name " + strings.quote(string(f.given[f.name])) + " must not contain \"%\""
    : !("config" in f.given)
    ? f.at + ".config: is missing: it holds the CNI configuration"
    : type(f.given.config) != map
    ? f.at + ".config: must be an object"
    : type(f.given.config.?name.orValue("")) != string || f.given.config.?name.orValue("") == ""
    ? f.at + ".config.name: must be a string that is not empty"
    : "").filter(text, text != "")
{{- end }}
