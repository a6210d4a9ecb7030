{{/*
The engines of the bundled store. Each defines the paths of its probes, and what its pod has beside the fields
in store.yaml: annotations, fields of the pod and of the container, mounts and volumes.
*/}}

{{/* Fails if the data of the installation are in the volume of another engine, and would be left behind. */}}
{{- define "skyclass.checkEngine" -}}
{{- $engine := .Values.objectStore.bundled.engine -}}
{{- $claims := dict -}}
{{- range $each := list "minio" "seaweedfs" -}}
{{- $claim := printf "data-%s-%s-0" (include "skyclass.fullname" $) $each -}}
{{- if lookup "v1" "PersistentVolumeClaim" $.Release.Namespace $claim }}{{ $_ := set $claims $each $claim }}{{ end -}}
{{- end -}}
{{- if and $claims (not (hasKey $claims $engine)) -}}
{{- $other := keys $claims | first -}}
{{- fail (printf "objectStore.bundled.engine is %s, but the data of this installation are in the claim %s: set it to %s, or copy the data first (docs/backup.md)" $engine (get $claims $other) $other) -}}
{{- end -}}
{{- end }}

{{- define "skyclass.minio.readiness" }}/minio/health/ready{{ end }}
{{- define "skyclass.minio.liveness" }}/minio/health/live{{ end }}
{{- define "skyclass.minio.annotations" }}{{ end }}
{{- define "skyclass.minio.pod" }}{{ end }}

{{- define "skyclass.minio.container" -}}
args: [server, /data, --address, ":9000"]
env:
  - {name: MINIO_ROOT_USER_FILE, value: /root-keys/AWS_ACCESS_KEY_ID}
  - {name: MINIO_ROOT_PASSWORD_FILE, value: /root-keys/AWS_SECRET_ACCESS_KEY}
  - {name: MINIO_REGION, value: {{ .Values.objectStore.region | quote }}}
  - {name: MINIO_BROWSER, value: "off"}
  - {name: MINIO_UPDATE, value: "off"}
  - {name: HOME, value: /tmp}
{{- end }}

{{- define "skyclass.minio.mounts" -}}
- {name: root-keys, mountPath: /root-keys, readOnly: true}
{{- end }}

{{- define "skyclass.minio.volumes" -}}
- name: root-keys
  secret: {secretName: {{ include "skyclass.secretName" (dict "root" . "identity" "root") }}}
{{- end }}

{{- define "skyclass.seaweedfs.readiness" }}/healthz{{ end }}
{{- define "skyclass.seaweedfs.liveness" }}/healthz{{ end }}

{{/* A graceful stop takes half a minute and saves nothing: acknowledged writes are with the kernel. */}}
{{- define "skyclass.seaweedfs.pod" -}}
terminationGracePeriodSeconds: 5
{{- end }}

{{- define "skyclass.seaweedfs.annotations" -}}
skyclass/identities: {{ include "skyclass.seaweedfs.identities" . | sha256sum | trunc 16 | quote }} # restarts the pod
{{- end }}

{{/*
The identities and their policies as SeaweedFS reads them. The keys are not in it: it takes them from the
environment, and ignores an identity whose keys are missing.
*/}}
{{- define "skyclass.seaweedfs.identities" -}}
{{- $granted := tpl (.Files.Get "files/policies.json") . | fromJson -}}
{{- $identities := list (dict "name" "root" "credentials" (include "skyclass.seaweedfs.credentials" "root" | fromJsonArray) "actions" (list "Admin")) -}}
{{- $policies := list -}}
{{- range $identity := include "skyclass.identities" . | fromJsonArray -}}
{{- $credentials := include "skyclass.seaweedfs.credentials" $identity | fromJsonArray -}}
{{- $identities = append $identities (dict "name" $identity "credentials" $credentials "policyNames" (list $identity)) -}}
{{- $policies = append $policies (dict "name" $identity "content" (get $granted $identity | toJson)) -}}
{{- end -}}
{{- dict "identities" $identities "policies" $policies | toPrettyJson -}}
{{- end }}

{{/* References to the keys of an identity in the environment, as a JSON list. */}}
{{- define "skyclass.seaweedfs.credentials" -}}
{{- $name := upper . -}}
{{- list (dict "accessKey" (printf "${%s_ACCESS_KEY_ID}" $name) "secretKey" (printf "${%s_SECRET_ACCESS_KEY}" $name)) | toJson -}}
{{- end }}

{{/*
Only the S3 port is for others. The master, the volume server and the filer listen on loopback. The gRPC port
of the S3 server, which can change identities, cannot: it requires TLS with a certificate that does not exist,
and so rejects every connection.
*/}}
{{- define "skyclass.seaweedfs.container" -}}
command:
  - /usr/bin/weed
  - -logtostderr=true
  - server
  - -dir=/data
  - -ip=127.0.0.1
  - -ip.bind=127.0.0.1
  - -master.peers=none # no election: the volumes can be read as soon as /healthz succeeds
  - -master.telemetry=false
  - -master.volumeSizeLimitMB=1024
  - -volume.max=10000 # each bucket has seven; with 0, they run out long before the disk is full
  - -s3
  - -s3.ip.bind=0.0.0.0
  - -s3.port=9000
  - -s3.port.iceberg=0
  - -s3.port.lance=0
  - -s3.config=/identities/identities.json
  - -s3.iam=false # no API that changes identities
  - -s3.autoCreateBucket=false
  - -s3.allowDeleteBucketNotEmpty=false
env:
  {{- range $name := list "WEED_GRPC_CA" "WEED_GRPC_S3_CERT" "WEED_GRPC_S3_KEY" }}
  - {name: {{ $name }}, value: /nonexistent}
  {{- end }}
  {{- range $identity := append (include "skyclass.identities" . | fromJsonArray) "root" }}
  {{- $secret := include "skyclass.secretName" (dict "root" $ "identity" $identity) }}
  {{- range $key := list "ACCESS_KEY_ID" "SECRET_ACCESS_KEY" }}
  - name: {{ upper $identity }}_{{ $key }}
    valueFrom: {secretKeyRef: {name: {{ $secret }}, key: AWS_{{ $key }}}}
  {{- end }}
  {{- end }}
{{- end }}

{{- define "skyclass.seaweedfs.mounts" -}}
- {name: identities, mountPath: /identities, readOnly: true}
{{- end }}

{{- define "skyclass.seaweedfs.volumes" -}}
- name: identities
  configMap: {name: {{ include "skyclass.storeName" . }}}
{{- end }}
