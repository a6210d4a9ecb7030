{{/* Name of the bundled store's Service and StatefulSet. */}}
{{- define "skyclass.storeName" -}}
{{ include "skyclass.fullname" . }}-{{ .Values.objectStore.bundled.engine }}
{{- end }}

{{/* URL of the object store as seen from the release's namespace. */}}
{{- define "skyclass.storeEndpoint" -}}
{{- if eq .Values.objectStore.mode "bundled" -}}
http://{{ include "skyclass.storeName" . }}:9000
{{- else -}}
{{ required "objectStore.external.endpoint is empty: set the URL of your object store, like https://s3.example.org" .Values.objectStore.external.endpoint }}
{{- end -}}
{{- end }}

{{/* The file with changed limits, in the pods that validate. The compiled packages mount it here too. */}}
{{- define "skyclass.expectationsFile" -}}
/etc/skyclass-expectations/expectations.toml
{{- end }}

{{/* A ConfigMap with the changed limits: (dict "root" $ "namespace" "kubeflow"). */}}
{{- define "skyclass.expectations" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "skyclass.metadata" (merge (dict "suffix" "expectations") .) | nindent 2 }}
data:
  expectations.toml: {{ toToml .root.Values.expectations | quote }}
{{- end }}

{{/* Environment variables that are not secret: (dict "root" $ "endpoint" "http://..."). */}}
{{- define "skyclass.settings" -}}
AWS_ENDPOINT_URL: {{ .endpoint | quote }}
AWS_REGION: {{ .root.Values.objectStore.region | quote }}
{{- range $name, $bucket := .root.Values.objectStore.buckets }}
SKYCLASS_{{ upper $name }}_BUCKET: {{ $bucket | quote }}
{{- end }}
SKYCLASS_SKYSERVER_URL: {{ .root.Values.skyserver.url | quote }}
SKYCLASS_SKYSERVER_CONTACT: {{ .root.Values.skyserver.contact | quote }}
{{- end }}

{{/* The file with the URLs of channels. The compiled packages mount it here too. */}}
{{- define "skyclass.channelsFile" -}}
/etc/skyclass-notifications/urls
{{- end }}

{{/* Environment variables of pods that notify. */}}
{{- define "skyclass.notificationSettings" -}}
SKYCLASS_NOTIFICATION_URLS_FILE: {{ include "skyclass.channelsFile" . }}
SKYCLASS_NOTIFICATION_KINDS: {{ join "," .Values.notifications.kinds | quote }}
SKYCLASS_MONITOR_URL: {{ .Values.monitor.url | quote }}
{{- end }}
