{{/* Head of a NetworkPolicy: (dict "root" $ "name" "dns"). */}}
{{- define "skyclass.networkPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "skyclass.metadata" (dict "root" .root "suffix" .name) | nindent 2 }}
{{- end }}

{{/* Selector of the pods of several components: (dict "root" $ "components" (list "drift")). */}}
{{- define "skyclass.podSelector" -}}
matchLabels:
  {{- include "skyclass.selectorLabels" (dict "root" .root) | nindent 2 }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: {{ toJson .components }}}
{{- end }}

{{/* Selector of the pods that have some access: (dict "root" $ "access" "identity"). */}}
{{- define "skyclass.podSelectorWith" -}}
{{- include "skyclass.podSelector" (dict "root" .root "components" (include "skyclass.componentsWith" . | fromJsonArray)) -}}
{{- end }}

{{/* Peer that stands for every pod in the namespace of Kubeflow Pipelines. */}}
{{- define "skyclass.kfpPeer" -}}
- namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ .Values.kfp.namespace }}}
{{- end }}

{{/* Ports of the predictors. */}}
{{- define "skyclass.predictorPorts" -}}
- {port: 8080, protocol: TCP}
- {port: 8081, protocol: TCP}
{{- if .Values.access.endpoint.tls.existingSecret }}
- {port: 8443, protocol: TCP}
{{- end }}
{{- end }}

{{/* Egress rule to the predictors. */}}
{{- define "skyclass.egressToPredictors" -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "skyclass.selectorLabels" (dict "root" . "component" "predictor") | nindent 10 }}
  ports:
    {{- include "skyclass.predictorPorts" . | nindent 4 }}
{{- end }}

{{/*
A rule: (dict "direction" "from" "peers" $peers "ports" (list 443)), or nothing without peers or ports, because
Kubernetes takes an empty list as all of them.
*/}}
{{- define "skyclass.networkRule" -}}
{{- if and .peers .ports -}}
- {{ .direction }}:
    {{- toYaml .peers | nindent 4 }}
  ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
{{- end -}}
{{- end }}

{{/* Egress rule to peers, a section of networkPolicy: (dict "peers" $peers "ports" (list 443)). */}}
{{- define "skyclass.egressToPeers" -}}
{{- include "skyclass.networkRule" (dict "direction" "to" "peers" .peers "ports" .ports) -}}
{{- end }}

{{/* Egress rule to address ranges, a section of networkPolicy: (dict "cidrs" (list "10.0.0.0/8") "ports" (list 443)). */}}
{{- define "skyclass.egressToRanges" -}}
{{- $peers := list -}}
{{- range .cidrs }}{{ $peers = append $peers (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- include "skyclass.networkRule" (dict "direction" "to" "peers" $peers "ports" .ports) -}}
{{- end }}
