{{/* An image reference: (dict "root" $ "image" .Values.images.jobs). */}}
{{- define "skyclass.image" -}}
{{- $name := printf "%s/%s" .image.registry .image.repository -}}
{{- if .image.digest -}}
{{ $name }}@{{ .image.digest }}
{{- else -}}
{{ $name }}:{{ default .root.Chart.AppVersion .image.tag }}
{{- end -}}
{{- end }}

{{/* imagePullSecrets of a pod; items are {name: ...} or plain names. */}}
{{- define "skyclass.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ if kindIs "string" . }}{{ . }}{{ else }}{{ .name }}{{ end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Scheduling constraints of a pod. */}}
{{- define "skyclass.scheduling" -}}
{{- range $field := list "nodeSelector" "tolerations" "affinity" }}
{{- with get $.Values $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Security contexts that satisfy Pod Security `restricted`, of a pod and of a container. */}}
{{- define "skyclass.podSecurityContext" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "skyclass.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities: {drop: [ALL]}
{{- end }}

{{/* Probes of a web application with a /healthz page: (dict "portName" "http"). */}}
{{- define "skyclass.webProbes" -}}
startupProbe:
  httpGet: {path: /healthz, port: {{ .portName }}}
  periodSeconds: 2
  failureThreshold: 120 # importing takes minutes on a busy node
readinessProbe:
  httpGet: {path: /healthz, port: {{ .portName }}}
  periodSeconds: 5
  timeoutSeconds: 3
livenessProbe:
  httpGet: {path: /healthz, port: {{ .portName }}}
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 4
{{- end }}

{{/* envFrom of a component: the settings, and the keys of its store identity if it has one. */}}
{{- define "skyclass.envFrom" -}}
- configMapRef: {name: {{ include "skyclass.fullname" .root }}-settings}
{{- with (include "skyclass.component" . | fromJson).identity }}
- secretRef: {name: {{ include "skyclass.secretName" (dict "root" $.root "identity" .) }}}
{{- end }}
{{- end }}

{{/*
Template of a pod that runs one command in the jobs image:
  root, component   the component; its ServiceAccount is <fullname>-<component>
  module            Python module to run; by default the command `skyclass`
  args              arguments of the command
  resources         of the container
  variables         additional environment variables, as a map
  port, portName    port of a web application with probes, `http` by default; optional
  sidecar           another container, as text; optional
  volumes, mounts   additional volumes and volumeMounts, as lists
  labels            additional labels, as a map
  annotations       additional annotations, as a map
*/}}
{{- define "skyclass.podTemplate" -}}
{{- $component := include "skyclass.component" . | fromJson -}}
{{- $usesAPI := not (empty $component.roles) -}}
{{- $limits := and $component.validates .root.Values.expectations -}}
{{- $portName := .portName | default "http" -}}
{{- $channels := and $component.notifies .root.Values.notifications.existingSecret -}}
metadata:
  labels:
    {{- include "skyclass.selectorLabels" . | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with merge dict (.annotations | default dict) .root.Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  restartPolicy: {{ ternary "Always" "Never" (hasKey . "port") }}
  serviceAccountName: {{ include "skyclass.fullname" .root }}-{{ .component }}
  automountServiceAccountToken: {{ $usesAPI }}
  enableServiceLinks: false
  securityContext:
    {{- include "skyclass.podSecurityContext" . | nindent 4 }}
  {{- include "skyclass.imagePullSecrets" .root | nindent 2 }}
  {{- include "skyclass.scheduling" .root | nindent 2 }}
  containers:
    - name: {{ .component }}
      image: {{ include "skyclass.image" (dict "root" .root "image" .root.Values.images.jobs) }}
      imagePullPolicy: {{ .root.Values.images.jobs.pullPolicy }}
      {{- with .module }}
      command: [python, -m, {{ . }}]
      {{- end }}
      args: {{ toJson .args }}
      terminationMessagePolicy: FallbackToLogsOnError
      envFrom:
        {{- include "skyclass.envFrom" . | nindent 8 }}
      {{- if or $usesAPI $limits $channels .variables }}
      env:
        {{- if $usesAPI }}
        - name: SKYCLASS_NAMESPACE
          valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
        - name: SKYCLASS_INFERENCE_SERVICE_TEMPLATES
          value: {{ include "skyclass.fullname" .root }}-inference-services
        {{- end }}
        {{- if $limits }}
        - {name: SKYCLASS_EXPECTATIONS_FILE, value: {{ include "skyclass.expectationsFile" . }}}
        {{- end }}
        {{- if $channels }}
        {{- range $name, $value := include "skyclass.notificationSettings" .root | fromYaml }}
        - {name: {{ $name }}, value: {{ $value | quote }}}
        {{- end }}
        {{- end }}
        {{- range $name, $value := .variables }}
        - {name: {{ $name }}, value: {{ $value | quote }}}
        {{- end }}
      {{- end }}
      {{- with .port }}
      ports:
        - {name: {{ $portName }}, containerPort: {{ . }}, protocol: TCP}
      {{- include "skyclass.webProbes" (dict "portName" $portName) | nindent 6 }}
      {{- end }}
      resources:
        {{- toYaml .resources | nindent 8 }}
      securityContext:
        {{- include "skyclass.containerSecurityContext" . | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- if $limits }}
        - {name: expectations, mountPath: {{ include "skyclass.expectationsFile" . | dir }}, readOnly: true}
        {{- end }}
        {{- if $channels }}
        - {name: channels, mountPath: {{ include "skyclass.channelsFile" . | dir }}, readOnly: true}
        {{- end }}
        {{- with .mounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with .sidecar }}
    {{- . | nindent 4 }}
    {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 4Gi}
    {{- if $limits }}
    - name: expectations
      configMap: {name: {{ include "skyclass.fullname" .root }}-expectations}
    {{- end }}
    {{- if $channels }}
    - name: channels
      secret: {secretName: {{ $channels }}, optional: true} # a missing one must not keep a job from starting
    {{- end }}
    {{- with .volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
