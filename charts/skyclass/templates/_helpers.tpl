{{/* Names and labels. */}}

{{/* Prefix of all resource names, truncated so that every suffix fits. */}}
{{- define "skyclass.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 26 | trimSuffix "-" -}}
{{- end }}

{{/*
Labels that select the pods of a component: (dict "root" $ "component" "drift"), or all pods without
`component`. Selectors are immutable, so these labels never change.
*/}}
{{- define "skyclass.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* Labels of an object: (dict "root" $ "component" "drift"). */}}
{{- define "skyclass.labels" -}}
{{ include "skyclass.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: skyclass
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/*
Metadata of an object:
  root         the root context
  suffix       appended to the fullname; optional
  component    value of the component label; optional
  namespace    the release's namespace by default
  extraLabels  a map; optional
*/}}
{{- define "skyclass.metadata" -}}
name: {{ include "skyclass.fullname" .root }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ .namespace | default .root.Release.Namespace }}
labels:
  {{- include "skyclass.labels" . | nindent 2 }}
  {{- with .extraLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Name of the Secret with the keys of a store identity: (dict "root" $ "identity" "drift"). */}}
{{- define "skyclass.secretName" -}}
{{- $store := .root.Values.objectStore -}}
{{- $existing := get $store.existingSecrets .identity -}}
{{- if eq .identity "root" }}{{ $existing = $store.bundled.existingRootSecret }}{{ end -}}
{{- if $existing -}}
{{ $existing }}
{{- else if eq $store.mode "bundled" -}}
{{ include "skyclass.fullname" .root }}-s3-{{ .identity }}
{{- else -}}
{{ fail (printf "objectStore.existingSecrets.%s is empty: name the Secret with the keys of this identity" .identity) }}
{{- end -}}
{{- end }}
