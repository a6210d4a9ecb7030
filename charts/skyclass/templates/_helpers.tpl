{{/* The common beginning of all names, short enough for what is added to it. */}}
{{- define "skyclass.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 26 | trimSuffix "-" -}}
{{- end }}

{{/* What selects the pods of a component: (dict "root" $ "component" "drift"). Never changes. */}}
{{- define "skyclass.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{/* All labels of an object. */}}
{{- define "skyclass.labels" -}}
{{ include "skyclass.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: skyclass
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* An image reference: (dict "root" $ "image" .Values.images.jobs). */}}
{{- define "skyclass.image" -}}
{{- $name := printf "%s/%s" .image.registry .image.repository -}}
{{- if .image.digest -}}
{{ $name }}@{{ .image.digest }}
{{- else -}}
{{ $name }}:{{ default .root.Chart.AppVersion .image.tag }}
{{- end -}}
{{- end }}

{{/* The modes that are served, as a JSON list for fromJsonArray. */}}
{{- define "skyclass.modes" -}}
{{- $modes := list -}}
{{- range $mode, $settings := .Values.modes -}}
{{- if $settings.enabled }}{{ $modes = append $modes $mode }}{{ end -}}
{{- end -}}
{{ toJson $modes }}
{{- end }}

{{/* Where the object store is. */}}
{{- define "skyclass.endpoint" -}}
{{- if eq .Values.objectStore.mode "bundled" -}}
http://{{ include "skyclass.fullname" . }}-minio:9000
{{- else -}}
{{ required "objectStore.external.endpoint: say where your store is, like https://s3.example.org" .Values.objectStore.external.endpoint }}
{{- end -}}
{{- end }}

{{/* What is no secret about the surroundings, as environment variables: (dict "root" $ "endpoint" "http://..."). */}}
{{- define "skyclass.settings" -}}
AWS_ENDPOINT_URL: {{ .endpoint | quote }}
AWS_REGION: {{ .root.Values.objectStore.region | quote }}
{{- range $name, $bucket := .root.Values.objectStore.buckets }}
SKYCLASS_{{ upper $name }}_BUCKET: {{ $bucket | quote }}
{{- end }}
SKYCLASS_SKYSERVER_URL: {{ .root.Values.skyserver.url | quote }}
SKYCLASS_SKYSERVER_CONTACT: {{ .root.Values.skyserver.contact | quote }}
{{- end }}

{{/* The Secret with a role's keys: (dict "root" $ "role" "drift"). */}}
{{- define "skyclass.secret" -}}
{{- $existing := get .root.Values.objectStore.existingSecrets .role -}}
{{- if $existing -}}
{{ $existing }}
{{- else if eq .root.Values.objectStore.mode "bundled" -}}
{{ include "skyclass.fullname" .root }}-s3-{{ .role }}
{{- else -}}
{{ fail (printf "objectStore.existingSecrets.%s: name the Secret with the keys of this role" .role) }}
{{- end -}}
{{- end }}

{{/* The Secret with the bundled store's administrator. */}}
{{- define "skyclass.rootSecret" -}}
{{- default (printf "%s-s3-root" (include "skyclass.fullname" .)) .Values.objectStore.bundled.existingRootSecret -}}
{{- end }}

{{/* Pod and container security, as Pod Security `restricted` wants it and a bit more. */}}
{{- define "skyclass.podSecurity" -}}
runAsNonRoot: true
seccompProfile: {type: RuntimeDefault}
{{- end }}
{{- define "skyclass.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities: {drop: [ALL]}
{{- end }}

{{/*
The spec of a pod that runs one command of the jobs image:
  root, component   who it is; its ServiceAccount is <fullname>-<component>
  secret            whose keys it has in the object store
  module            the Python module that it runs; else the command line `skyclass`
  args              its arguments
  resources         of its container
  api               whether it talks to the Kubernetes API
  variables         more environment variables, as a map
  port              where it listens, if it serves pages; /healthz says whether it does
  volumes, mounts   more of them, as lists
*/}}
{{- define "skyclass.jobPod" -}}
restartPolicy: {{ ternary "Always" "Never" (hasKey . "port") }}
serviceAccountName: {{ include "skyclass.fullname" .root }}-{{ .component }}
automountServiceAccountToken: {{ .api | default false }}
enableServiceLinks: false
securityContext:
  {{- include "skyclass.podSecurity" . | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
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
      - configMapRef: {name: {{ include "skyclass.fullname" .root }}-settings}
      {{- with .secret }}
      - secretRef: {name: {{ . }}}
      {{- end }}
    {{- if or .api .variables }}
    env:
      {{- if .api }}
      - name: SKYCLASS_NAMESPACE
        valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
      - name: SKYCLASS_INFERENCE_SERVICE_TEMPLATES
        value: {{ include "skyclass.fullname" .root }}-inference-services
      {{- end }}
      {{- range $name, $value := .variables }}
      - {name: {{ $name }}, value: {{ $value | quote }}}
      {{- end }}
    {{- end }}
    {{- with .port }}
    ports:
      - {name: http, containerPort: {{ . }}, protocol: TCP}
    startupProbe:
      httpGet: {path: /healthz, port: http}
      periodSeconds: 2
      failureThreshold: 120 # on a node with much to do, importing takes minutes
    readinessProbe:
      httpGet: {path: /healthz, port: http}
      periodSeconds: 5
      timeoutSeconds: 3
    livenessProbe:
      httpGet: {path: /healthz, port: http}
      periodSeconds: 15
      timeoutSeconds: 5
      failureThreshold: 4
    {{- end }}
    resources:
      {{- toYaml .resources | nindent 6 }}
    securityContext:
      {{- include "skyclass.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: tmp, mountPath: /tmp}
      {{- with .mounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 4Gi}
  {{- with .volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/*
A CronJob: what skyclass.jobPod wants, and
  name                    what is added to the common beginning of the names
  schedule, deadline      when it runs, and for how long at most
  mode                    the mode it works for, if it works for one
*/}}
{{- define "skyclass.cronJob" -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {{ include "skyclass.fullname" .root }}-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "skyclass.labels" . | nindent 4 }}
spec:
  schedule: {{ .schedule | quote }}
  timeZone: Etc/UTC
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 1800 # without it 100 missed starts would disable the job for good
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: 2
      activeDeadlineSeconds: {{ .deadline }}
      ttlSecondsAfterFinished: 604800 # a week, to look at the log
      template:
        metadata:
          labels:
            {{- include "skyclass.selector" . | nindent 12 }}
            {{- with .mode }}
            skyclass-mode: {{ . }}
            {{- end }}
        spec:
          {{- include "skyclass.jobPod" . | nindent 10 }}
{{- end }}

{{/* A web application, its Deployment and its Service: what skyclass.jobPod wants, `port` among it. */}}
{{- define "skyclass.web" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "skyclass.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "skyclass.labels" . | nindent 4 }}
spec:
  replicas: 1
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "skyclass.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "skyclass.selector" . | nindent 8 }}
      annotations: # other settings make another pod
        skyclass/settings: {{ include (print .root.Template.BasePath "/settings.yaml") .root | sha256sum | trunc 16 }}
    spec:
      {{- include "skyclass.jobPod" . | nindent 6 }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "skyclass.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "skyclass.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "skyclass.selector" . | nindent 4 }}
  ports:
    - {name: http, port: 80, targetPort: http, protocol: TCP}
{{- end }}

{{/* Whether the drift jobs may train again and roll back: "true", or nothing. */}}
{{- define "skyclass.retrains" -}}
{{- if and .Values.drift.enabled .Values.drift.retraining.enabled .Values.kfp.enabled }}true{{ end -}}
{{- end }}

{{/* The head of a NetworkPolicy: (dict "root" $ "name" "dns"). */}}
{{- define "skyclass.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "skyclass.fullname" .root }}-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "skyclass.labels" (dict "root" .root) | nindent 4 }}
{{- end }}

{{/* Selects the pods of several components. */}}
{{- define "skyclass.podsOf" -}}
matchLabels:
  {{- include "skyclass.selector" (dict "root" .root) | nindent 2 }}
matchExpressions:
  - {key: app.kubernetes.io/component, operator: In, values: {{ toJson .components }}}
{{- end }}

{{/* Lets pods ask the predictors. */}}
{{- define "skyclass.egressToPredictor" -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "skyclass.selector" (dict "root" . "component" "predictor") | nindent 10 }}
  ports:
    - {port: 8080, protocol: TCP}
    - {port: 8081, protocol: TCP}
{{- end }}

{{/* What promotion applies, together with the release: (dict "root" $ "mode" "photometric"). */}}
{{- define "skyclass.inferenceService" -}}
{{- $predictor := .root.Values.predictor -}}
{{- $scales := gt (int $predictor.maxReplicas) (int $predictor.minReplicas) -}}
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: skyclass-{{ .mode }}
  labels:
    {{- include "skyclass.selector" (dict "root" .root "component" "predictor") | nindent 4 }}
    skyclass-mode: {{ .mode }}
    networking.kserve.io/visibility: cluster-local
  annotations:
    serving.kserve.io/deploymentMode: Standard
    serving.kserve.io/autoscalerClass: {{ ternary "hpa" "none" $scales }}
spec:
  predictor:
    minReplicas: {{ $predictor.minReplicas }}
    maxReplicas: {{ max $predictor.minReplicas $predictor.maxReplicas }}
    {{- if $scales }}
    scaleMetric: cpu
    scaleMetricType: Utilization
    scaleTarget: {{ $predictor.targetCPUPercent }}
    {{- end }}
    deploymentStrategy:
      type: RollingUpdate
      rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
    serviceAccountName: {{ include "skyclass.fullname" .root }}-predictor
    automountServiceAccountToken: false
    enableServiceLinks: false
    terminationGracePeriodSeconds: {{ add $predictor.preStopSeconds 30 }}
    securityContext:
      {{- include "skyclass.podSecurity" . | nindent 6 }}
    topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: ScheduleAnyway
        labelSelector:
          matchLabels: {serving.kserve.io/inferenceservice: skyclass-{{ .mode }}}
    model:
      modelFormat: {name: skyclass}
      runtime: skyclass
      protocolVersion: v2
      args: [--mode, {{ .mode }}]
      resources:
        {{- toYaml $predictor.resources | nindent 8 }}
      startupProbe:
        httpGet: {path: /v2/health/live, port: 8080}
        periodSeconds: 1
        failureThreshold: 120
      livenessProbe:
        httpGet: {path: /v2/health/live, port: 8080}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /v2/models/skyclass-{{ .mode }}/ready, port: 8080}
        periodSeconds: 2
        timeoutSeconds: 5
      lifecycle: # first the Services forget the pod, then it is told to stop
        preStop: {sleep: {seconds: {{ $predictor.preStopSeconds }}}}
{{- end }}
