{{/*
The InferenceService of a mode without its storageUri, which promotion adds when it applies the object:
(dict "root" $ "mode" "photometric").
*/}}
{{- define "skyclass.inferenceService" -}}
{{- $predictor := .root.Values.predictor -}}
{{- $guarded := include "skyclass.guarded" .root -}}
{{- $preStopSeconds := ternary (include "skyclass.drainSeconds" .root) $predictor.preStopSeconds (not (empty $guarded)) -}}
{{- $autoscaled := gt (int $predictor.maxReplicas) (int $predictor.minReplicas) -}}
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: skyclass-{{ .mode }}
  labels:
    {{- include "skyclass.selectorLabels" (dict "root" .root "component" "predictor") | nindent 4 }}
    skyclass-mode: {{ .mode }}
    networking.kserve.io/visibility: cluster-local
  annotations:
    serving.kserve.io/deploymentMode: Standard
    serving.kserve.io/autoscalerClass: {{ ternary "hpa" "none" $autoscaled }}
spec:
  predictor:
    {{- with .root.Values.podAnnotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    minReplicas: {{ $predictor.minReplicas }}
    maxReplicas: {{ max $predictor.minReplicas $predictor.maxReplicas }}
    {{- if $autoscaled }}
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
    terminationGracePeriodSeconds: {{ add $preStopSeconds 30 }}
    securityContext:
      {{- include "skyclass.podSecurityContext" . | nindent 6 }}
    {{- include "skyclass.scheduling" .root | nindent 4 }}
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
      {{- with .root.Values.signing.publicKey }}
      env: # here and not in the ServingRuntime: a served release that is not signed keeps being served
        - name: SKYCLASS_SERVING_PUBLIC_KEY
          value: {{ . | quote }}
      {{- end }}
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
      lifecycle: # endpoints are updated before the server stops accepting connections
        {{- if $guarded }}
        preStop: # Envoy closes each connection after its next response
          exec:
            command:
              - python
              - -c
              - |
                import contextlib, time, urllib.request
                with contextlib.suppress(OSError):
                    urllib.request.urlopen("http://127.0.0.1:9901/drain_listeners?graceful&skip_exit", b"", 5)
                time.sleep({{ $preStopSeconds }})
        {{- else }}
        preStop: {sleep: {seconds: {{ $preStopSeconds }}}}
        {{- end }}
{{- end }}
