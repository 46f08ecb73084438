{{- define "network-dra.selector" -}}
app.kubernetes.io/name: network-dra
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "network-dra.labels" -}}
{{ include "network-dra.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- define "network-dra.image" -}}
"{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
{{- end }}

{{/* The settings file. It cannot have a setting that has a value of its own: the flag would override it. */}}
{{- define "network-dra.config" -}}
{{- $elsewhere := dict "logLevel" "log.level" "logFormat" "log.format" "chrootDir" "pluginRoot" "metricsSecure" "metricsSecure.listen" "metricsCert" "metricsSecure.certificateSecret" "metricsKey" "metricsSecure.certificateSecret" "networkObjects" "networks.objects" "networkAttachmentDefinitions" "networks.attachmentDefinitions" "networkCacheTime" "networks.cacheTime" }}
{{- range list "driverName" "pluginIndex" "concurrency" "listen" "kubeletDir" "nriSocket" "netnsDir" "cniPath" "stateDir" "cdiDir" "networkDir" }}
{{- $_ := set $elsewhere . . }}
{{- end }}
{{- range $key, $_ := .Values.config }}
{{- with get $elsewhere $key }}
{{- fail (printf "config.%s cannot be set: set the value %s instead" $key .) }}
{{- end }}
{{- if has $key (list "nodeName" "podUid" "kubeconfig") }}
{{- fail (printf "config.%s cannot be set: it differs from node to node" $key) }}
{{- end }}
{{- if eq $key "leaseNamespace" }}
{{- fail "config.leaseNamespace cannot be set: it is the release's namespace" }}
{{- end }}
{{- if eq $key "sysfsDir" }}
{{- fail "config.sysfsDir cannot be set: it is where the chart mounts the node's sysfs" }}
{{- end }}
{{- end }}
{{- /* 107 bytes of a socket's path, less "/plugins_registry/", "-", a pod's UID and "-reg.sock". */}}
{{- $most := sub 43 (len .Values.kubeletDir) }}
{{- if gt (len .Values.driverName) (int $most) }}
{{- fail (printf "driverName %s is too long: with the kubeletDir %s it can have at most %d characters" .Values.driverName .Values.kubeletDir $most) }}
{{- end }}
{{- toYaml .Values.config }}
{{- end }}

{{/* The kubelet asks from the node itself, where "all addresses" means its own loopback. */}}
{{- define "network-dra.probe" -}}
{{- $listen := (index . 0).Values.listen }}
{{- $host := regexReplaceAll ":[0-9]+$" $listen "" | trimPrefix "[" | trimSuffix "]" -}}
httpGet:
  host: {{ get (dict "0.0.0.0" "127.0.0.1" "::" "::1") $host | default $host | quote }}
  port: {{ regexFind "[0-9]+$" $listen }}
  path: {{ index . 1 }}
{{- end }}

{{/* A folder of the node at the same path inside: name, path, type, readOnly, propagation. */}}
{{- define "network-dra.mount" -}}
- name: {{ .name }}
  mountPath: {{ .path }}
  {{- if get . "readOnly" }}
  readOnly: true
  {{- end }}
  {{- with get . "propagation" }}
  mountPropagation: {{ . }}
  {{- end }}
{{- end }}

{{- define "network-dra.volume" -}}
- name: {{ .name }}
  hostPath:
    path: {{ .path }}
    type: {{ .type }}
{{- end }}

{{/*
The node's folders. Folders, never sockets: a runtime or kubelet that restarts creates new sockets.
Those that others make are of type Directory: where one is missing, the pod's event names it.
*/}}
{{- define "network-dra.folders" -}}
# Ours to fill, the kubelet's to read.
- {name: kubelet-plugin, path: {{ .Values.kubeletDir }}/plugins/{{ .Values.driverName }}, type: DirectoryOrCreate}
- {name: kubelet-registry, path: {{ .Values.kubeletDir }}/plugins_registry, type: Directory}
- {name: nri, path: {{ dir .Values.nriSocket }}, type: Directory, readOnly: true}
# Namespaces come and go while the agent runs: those mounted later must appear inside, and those
# unmounted must not be held by our copy.
- {name: netns, path: {{ .Values.netnsDir }}, type: DirectoryOrCreate, readOnly: true, propagation: HostToContainer}
- {name: state, path: {{ .Values.stateDir }}, type: DirectoryOrCreate}
{{- with .Values.cdiDir }}
- {name: cdi, path: {{ . }}, type: DirectoryOrCreate}
{{- end }}
{{- with .Values.networkDir }}
- {name: networks, path: {{ . }}, type: Directory, readOnly: true}
{{- end }}
{{- if eq .Values.pluginRoot "container" }}
{{- range $i, $folder := splitList ":" .Values.cniPath }}
- {name: cni-bin-{{ $i }}, path: {{ $folder }}, type: Directory, readOnly: true}
{{- end }}
# Where host-local keeps its leases.
- {name: cni-state, path: /var/lib/cni, type: DirectoryOrCreate}
# Where the daemon of the plugin dhcp listens, if one runs on the node.
- {name: cni-run, path: /run/cni, type: DirectoryOrCreate}
{{- end }}
{{- end }}

{{/* Not the agents' name: the DaemonSet and the PodMonitor select by that. */}}
{{- define "network-dra.webhookSelector" -}}
app.kubernetes.io/name: network-dra-webhook
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What the webhook judges, and where each kind has the configurations of drivers. */}}
{{- define "network-dra.webhookKinds" -}}
- {resource: resourceclaims, group: resource.k8s.io, version: v1, scope: Namespaced, config: "object.spec.?devices.?config", path: spec.devices.config}
- {resource: resourceclaimtemplates, group: resource.k8s.io, version: v1, scope: Namespaced, config: "object.spec.spec.?devices.?config", path: spec.spec.devices.config}
- {resource: deviceclasses, group: resource.k8s.io, version: v1, scope: Cluster, config: "object.?spec.?config", path: spec.config}
{{- if .Values.networks.objects }}
- {resource: networks, group: dra.networking, version: v1alpha1, scope: Cluster}
{{- end }}
{{- end }}
