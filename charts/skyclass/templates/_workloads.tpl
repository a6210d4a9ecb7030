{{/*
A Job that runs once: the arguments of skyclass.podTemplate, and
  content   anything else that must make the Job run again when it changes; optional
The name contains a digest of the pod: a Job is immutable, so a changed pod needs another Job.
*/}}
{{- define "skyclass.job" -}}
{{- $template := include "skyclass.podTemplate" . -}}
{{- $digest := cat $template .content | sha256sum | trunc 8 -}}
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "skyclass.metadata" (merge (dict "suffix" (printf "%s-%s" .component $digest)) .) | nindent 2 }}
spec:
  backoffLimit: {{ .backoffLimit }}
  activeDeadlineSeconds: {{ .deadline }}
  template:
    {{- $template | nindent 4 }}
{{- end }}

{{/*
A CronJob: the arguments of skyclass.podTemplate, and
  values   its section of the values: schedule, activeDeadlineSeconds, resources
  mode     the mode that it works on; optional
*/}}
{{- define "skyclass.cronJob" -}}
{{- $suffix := .component -}}
{{- $labels := dict -}}
{{- with .mode -}}
{{- $suffix = printf "%s-%s" $suffix . -}}
{{- $labels = dict "skyclass-mode" . -}}
{{- end -}}
apiVersion: batch/v1
kind: CronJob
metadata:
  {{- include "skyclass.metadata" (merge (dict "suffix" $suffix) .) | nindent 2 }}
spec:
  schedule: {{ .values.schedule | quote }}
  timeZone: Etc/UTC
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: 1800 # without it, 100 missed starts disable the CronJob
  successfulJobsHistoryLimit: 3
  failedJobsHistoryLimit: 3
  jobTemplate:
    spec:
      backoffLimit: 2
      activeDeadlineSeconds: {{ .values.activeDeadlineSeconds }}
      ttlSecondsAfterFinished: 604800 # keeps the log for a week
      template:
        {{- include "skyclass.podTemplate" (merge (dict "labels" $labels "resources" .values.resources) .) | nindent 8 }}
{{- end }}

{{/*
Deployment and Service of a web application: the arguments of skyclass.loginProxy, `variables`, `mounts` and `volumes` of
skyclass.podTemplate, and `args` of the page besides those with which it listens; all of these are optional.
*/}}
{{- define "skyclass.webApplication" -}}
{{- $settings := include (print .root.Template.BasePath "/settings.yaml") .root -}}
{{- $annotations := dict "skyclass/settings" ($settings | sha256sum | trunc 16) -}}{{/* restarts the pods */}}
{{- $listen := include "skyclass.listenArguments" . | fromJsonArray -}}
{{- $volumes := .volumes | default list -}}
{{- $pod := dict
  "root" .root "component" .component "annotations" $annotations "variables" .variables
  "mounts" .mounts "resources" .page.resources "port" .port
  "args" (concat (list .component) $listen (list "--root-path" .page.rootPath) (.args | default list)) -}}
{{- if .root.Values.access.pages.enabled -}}
{{- $pod = merge (dict "port" (include "skyclass.probePort" .) "portName" "probes" "sidecar" (include "skyclass.loginProxy" .)) $pod -}}
{{- with .root.Values.access.pages.oidc.existingCASecret -}}
{{- $volumes = append $volumes (dict "name" "oidc" "secret" (dict "secretName" .)) -}}
{{- end -}}
{{- end -}}
{{- $pod = set $pod "volumes" $volumes -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "skyclass.metadata" (merge (dict "suffix" .component) .) | nindent 2 }}
spec:
  replicas: 1
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "skyclass.selectorLabels" . | nindent 6 }}
  template:
    {{- include "skyclass.podTemplate" $pod | nindent 4 }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "skyclass.metadata" (merge (dict "suffix" .component) .) | nindent 2 }}
spec:
  selector:
    {{- include "skyclass.selectorLabels" . | nindent 4 }}
  ports:
    - {name: http, port: 80, targetPort: http, protocol: TCP}
{{- end }}
