{{/*
The components (kinds of pods) and their access. ServiceAccounts, RoleBindings, NetworkPolicies, store
identities and their Secrets are derived from this map.

  enabled          whether the component is installed
  identity         its identity in the object store; src/skyclass/admin/identities.py grants it access
  roles            Roles of the Kubernetes API that its ServiceAccount is bound to (see rbac.yaml)
  callsPredictors  whether it sends requests to the predictors
  callsKFP         whether it sends requests to Kubeflow Pipelines
  validates        whether it validates observations, with the limits in .Values.expectations
  notifies         whether it sends messages to the channels in .Values.notifications
*/}}
{{- define "skyclass.components" -}}
{{- $bundled := eq .Values.objectStore.mode "bundled" -}}
{{- $secrets := .Values.objectStore.existingSecrets -}}
{{- /* Named keys of an earlier version lack some identities: what needs one of them is left out. */ -}}
{{- $generates := and $bundled (empty $secrets) -}}
{{- $explains := or $secrets.explain $generates -}}
{{- $maintains := or $secrets.maintain $generates -}}
{{- $retraining := not (empty (include "skyclass.retraining" .)) -}}
bootstrap:
  enabled: {{ .Values.bootstrap.enabled }}
  identity: pipeline
  roles: [promote]
  validates: true
  notifies: true
  callsPredictors: true # promotion checks which release answers
drift:
  enabled: {{ .Values.drift.enabled }}
  identity: drift
  roles: [observe{{ if $retraining }}, promote{{ end }}] # promote: for rollbacks
  callsPredictors: {{ $retraining }}
  callsKFP: {{ $retraining }}
  notifies: true
ingest:
  enabled: {{ .Values.ingest.enabled }}
  identity: ingest
  validates: true
maintain:
  enabled: {{ and .Values.maintain.enabled (not (empty $maintains)) }}
  {{- if $maintains }}
  identity: maintain
  {{- end }}
minio:
  enabled: {{ and $bundled (eq .Values.objectStore.bundled.engine "minio") }}
monitor:
  enabled: {{ .Values.monitor.enabled }}
  identity: apps
  roles: [observe]
predict-page:
  enabled: {{ .Values.predictPage.enabled }}
  {{- if $explains }}
  identity: explain # without it, the page classifies but does not explain
  {{- end }}
  callsPredictors: true
predictor:
  enabled: true
  identity: predict
provision:
  enabled: {{ $bundled }}
  identity: root # the administrator of the bundled store
score:
  enabled: {{ .Values.score.enabled }}
  identity: score
  roles: [observe]
seaweedfs:
  enabled: {{ and $bundled (eq .Values.objectStore.bundled.engine "seaweedfs") }}
{{- end }}

{{/*
Identities of the pipeline steps that run on Kubeflow Pipelines, as a JSON list. The compiled packages
in manifests/kfp read the Secrets of these identities; a test compares the two.
*/}}
{{- define "skyclass.kfpIdentities" -}}
["ingest", "publish", "score", "train"]
{{- end }}

{{/* All store identities except the administrator, as a JSON list. */}}
{{- define "skyclass.identities" -}}
{{- $identities := include "skyclass.kfpIdentities" . | fromJsonArray -}}
{{- range include "skyclass.components" . | fromYaml -}}
{{- with .identity }}{{ $identities = append $identities . }}{{ end -}}
{{- end -}}
{{- without $identities "root" | uniq | sortAlpha | toJson -}}
{{- end }}

{{/* One component of the map, as JSON: (dict "root" $ "component" "drift"). */}}
{{- define "skyclass.component" -}}
{{- get (include "skyclass.components" .root | fromYaml) .component | toJson -}}
{{- end }}

{{/*
Names of the components that have some access, as a JSON list: (dict "root" $ "access" "identity").
Disabled components are included, because Jobs made by hand may carry their labels.
*/}}
{{- define "skyclass.componentsWith" -}}
{{- $names := list -}}
{{- range $name, $component := include "skyclass.components" .root | fromYaml -}}
{{- if get $component $.access }}{{ $names = append $names $name }}{{ end -}}
{{- end -}}
{{- toJson $names -}}
{{- end }}

{{/* "true" if the drift jobs retrain and roll back, else empty. */}}
{{- define "skyclass.retraining" -}}
{{- if and .Values.drift.enabled .Values.drift.retraining.enabled .Values.kfp.enabled }}true{{ end -}}
{{- end }}

{{/* The enabled modes, as a JSON list. */}}
{{- define "skyclass.modes" -}}
{{- $modes := list -}}
{{- range $mode, $settings := .Values.modes -}}
{{- if $settings.enabled }}{{ $modes = append $modes $mode }}{{ end -}}
{{- end -}}
{{- toJson $modes -}}
{{- end }}
