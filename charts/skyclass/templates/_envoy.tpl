{{/* "true" if login or TLS puts Envoy in front of the predictors, else empty. */}}
{{- define "skyclass.guarded" -}}
{{- if or .Values.access.endpoint.login.enabled .Values.access.endpoint.tls.existingSecret }}true{{ end -}}
{{- end }}

{{/* URL of the endpoint of a mode: (dict "root" $ "mode" "photometric"). */}}
{{- define "skyclass.endpointUrl" -}}
{{- $host := printf "skyclass-%s-predictor" .mode -}}
{{- ternary (printf "https://%s:8443" $host) (printf "http://%s" $host) (not (empty .root.Values.access.endpoint.tls.existingSecret)) -}}
{{- end }}

{{/*
What a pod needs to call the endpoint, as JSON: `variables`, `mounts` and `volumes` of skyclass.podTemplate. The
token is one of the pod's ServiceAccount; kubelet renews it.
*/}}
{{- define "skyclass.endpointAccess" -}}
{{- $access := .Values.access.endpoint -}}
{{- $folder := "/var/run/secrets/skyclass-endpoint" -}}
{{- $variables := dict -}}
{{- $sources := list -}}
{{- if $access.login.enabled -}}
{{- $audiences := list -}}
{{- range $access.login.issuers }}{{ $audiences = concat $audiences .audiences }}{{ end -}}
{{- if not (has $access.login.audience $audiences) -}}
{{- fail (printf "access.endpoint.login.audience is %s, which no issuer has: add it to the audiences of the cluster's issuer, whose tokens the prediction page sends" $access.login.audience) -}}
{{- end -}}
{{- $token := dict "audience" $access.login.audience "expirationSeconds" 3600 "path" "token" -}}
{{- $sources = append $sources (dict "serviceAccountToken" $token) -}}
{{- $variables = set $variables "SKYCLASS_ENDPOINT_TOKEN_FILE" (printf "%s/token" $folder) -}}
{{- end -}}
{{- with $access.tls.existingSecret -}}
{{- $items := list (dict "key" "ca.crt" "path" "ca.crt") -}}
{{- $sources = append $sources (dict "secret" (dict "name" . "items" $items)) -}}
{{- $variables = set $variables "SKYCLASS_ENDPOINT_CA_FILE" (printf "%s/ca.crt" $folder) -}}
{{- end -}}
{{- if $sources -}}
{{- dict
  "variables" $variables
  "mounts" (list (dict "name" "endpoint" "mountPath" $folder "readOnly" true))
  "volumes" (list (dict "name" "endpoint" "projected" (dict "sources" $sources)))
  | toJson
-}}
{{- else -}}
{{- dict "variables" $variables "mounts" list "volumes" list | toJson -}}
{{- end -}}
{{- end }}

{{/* "true" if Envoy fetches the keys of an issuer, else empty. */}}
{{- define "skyclass.fetchesKeys" -}}
{{- $login := .Values.access.endpoint.login -}}
{{- range $login.issuers }}{{ if and $login.enabled .jwksUri }}true{{ end }}{{ end -}}
{{- end }}

{{/* Seconds that Envoy and the predictor continue after a pod has left the Service, for requests in flight. */}}
{{- define "skyclass.drainSeconds" -}}
{{ add .Values.predictor.preStopSeconds 10 }}
{{- end }}

{{/*
Envoy's configuration. It listens where the predictor listens without it, the predictor on loopback only:

  8080  HTTP; with TLS, without predictions, so that probes and Prometheus need no certificate
  8443  HTTPS, with TLS
  8081  gRPC, with TLS if configured
  9901  Envoy's own interface, on loopback

What needs no token is listed; everything else does. Names have no `%`, because the predictor decodes paths
and Envoy does not.
*/}}
{{- define "skyclass.envoyConfiguration" -}}
{{- $access := .Values.access.endpoint -}}
{{- $tls := not (empty $access.tls.existingSecret) -}}
{{- $http := dict
  "root" . "port" 8080 "codec" "HTTP1" "protocol" "http/1.1" "cluster" "http"
  "methods" "GET|HEAD"
  "open" (list
    "/|/metrics|/openapi[.]json"
    "/v1/models(/[A-Za-z0-9-]+)?"
    "/v2(/health/(live|ready))?"
    "/v2/models(/[A-Za-z0-9-]+(/versions/[A-Za-z0-9-]+)?(/ready)?)?"
  )
-}}
{{- $grpc := dict
  "root" . "port" 8081 "codec" "HTTP2" "protocol" "h2" "cluster" "grpc" "tls" $tls
  "methods" "POST"
  "open" (list "/inference[.]GRPCInferenceService/(Server(Live|Ready|Metadata)|Model(Ready|Metadata))")
-}}
node: {id: predictor, cluster: skyclass}
admin:
  address: {socket_address: {address: 127.0.0.1, port_value: 9901}}
static_resources:
  listeners:
    {{- include "skyclass.envoyListener" (merge (dict "metadataOnly" $tls) $http) | nindent 4 }}
    {{- if $tls }}
    {{- include "skyclass.envoyListener" (merge (dict "port" 8443 "tls" true) $http) | nindent 4 }}
    {{- end }}
    {{- include "skyclass.envoyListener" $grpc | nindent 4 }}
  clusters:
    {{- include "skyclass.envoyPredictor" (dict "name" "http" "port" 8082 "options" "http_protocol_options") | nindent 4 }}
    {{- include "skyclass.envoyPredictor" (dict "name" "grpc" "port" 8083 "options" "http2_protocol_options") | nindent 4 }}
    {{- range $at, $issuer := $access.login.issuers }}
    {{- if and $access.login.enabled $issuer.jwksUri }}
    {{- include "skyclass.envoyIssuer" (dict "at" $at "issuer" $issuer) | nindent 4 }}
    {{- end }}
    {{- end }}
{{- end }}

{{/*
A listener:
  port          port that it listens on
  codec         HTTP1 or HTTP2
  protocol      the same as a name of ALPN
  cluster       where requests go
  open          regular expressions of paths that need no token
  methods       regular expression of the methods of these requests
  tls           whether it needs TLS
  metadataOnly  whether it rejects everything else
*/}}
{{- define "skyclass.envoyListener" -}}
{{- $login := .root.Values.access.endpoint.login -}}
- name: port-{{ .port }}
  address: {socket_address: {address: 0.0.0.0, port_value: {{ .port }}}}
  filter_chains:
    - filters:
        - name: envoy.filters.network.http_connection_manager
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
            stat_prefix: port-{{ .port }}
            codec_type: {{ .codec }}
            # Requests and responses pass unchanged: the predictor logs X-Request-Id.
            server_header_transformation: PASS_THROUGH
            generate_request_id: false
            preserve_external_request_id: true
            use_remote_address: true
            skip_xff_append: true
            request_headers_timeout: 10s
            common_http_protocol_options: {idle_timeout: 120s}
            route_config:
              virtual_hosts:
                - name: predictor
                  domains: ["*"]
                  routes:
                    {{- if .metadataOnly }}
                    {{- range .open }}
                    - match:
                        {{- include "skyclass.envoyOpen" (dict "path" . "methods" $.methods) | nindent 24 }}
                      route: {cluster: {{ $.cluster }}, timeout: 0s}
                    {{- end }}
                    - match: {prefix: /}
                      direct_response:
                        status: 403
                        body: {inline_string: "predictions need TLS: send them to port 8443 with https"}
                    {{- else }}
                    - match: {prefix: /}
                      route: {cluster: {{ .cluster }}, timeout: 0s}
                    {{- end }}
            {{- if eq .cluster "http" }}
            local_reply_config: # Envoy's own errors have the form of the predictor's
              body_format: {json_format: {error: "%LOCAL_REPLY_BODY%"}}
            {{- end }}
            access_log: # rejected requests only
              - name: envoy.access_loggers.stdout
                filter: {grpc_status_filter: {statuses: [UNAUTHENTICATED, PERMISSION_DENIED]}}
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog
                  log_format:
                    json_format:
                      time: "%START_TIME%"
                      client: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"
                      method: "%REQ(:METHOD)%"
                      path: "%PATH(NQ)%"
                      reason: "%RESPONSE_CODE_DETAILS%"
            http_filters:
              {{- if and $login.enabled (not .metadataOnly) }}
              - name: envoy.filters.http.jwt_authn
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
                  providers:
                    {{- range $at, $issuer := $login.issuers }}
                    issuer-{{ $at }}:
                      issuer: {{ $issuer.issuer | quote }}
                      audiences: {{ toJson $issuer.audiences }}
                      from_headers: [{name: Authorization, value_prefix: "Bearer "}]
                      require_expiration: true
                      {{- if $issuer.jwks }}
                      {{- if not ($issuer.jwks | fromJson).keys }}
                      {{- fail (printf "access.endpoint.login.issuers[%d].jwks has no keys: set the JSON document {\"keys\": [...]} of the issuer" $at) }}
                      {{- end }}
                      {{- range ($issuer.jwks | fromJson).keys }}
                      {{- if or .d .k }}
                      {{- fail (printf "access.endpoint.login.issuers[%d].jwks has a secret key, with which tokens are signed: set public keys only" $at) }}
                      {{- end }}
                      {{- end }}
                      local_jwks: {inline_string: {{ $issuer.jwks | quote }}}
                      {{- else }}
                      remote_jwks:
                        http_uri: {uri: {{ $issuer.jwksUri | quote }}, cluster: issuer-{{ $at }}, timeout: 5s}
                        cache_duration: 300s
                        async_fetch: {}
                      {{- end }}
                    {{- end }}
                  rules:
                    {{- range .open }}
                    - match:
                        {{- include "skyclass.envoyOpen" (dict "path" . "methods" $.methods) | nindent 24 }}
                    {{- end }}
                    - match: {prefix: /}
                      requires:
                        {{- if eq (len $login.issuers) 1 }}
                        provider_name: issuer-0
                        {{- else }}
                        requires_any:
                          requirements:
                            {{- range $at, $issuer := $login.issuers }}
                            - provider_name: issuer-{{ $at }}
                            {{- end }}
                        {{- end }}
              {{- end }}
              - name: envoy.filters.http.router
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
                  suppress_envoy_headers: true
      {{- if .tls }}
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [{{ .protocol }}]
            tls_certificate_sds_secret_configs:
              - name: endpoint
                sds_config: {resource_api_version: V3, path_config_source: {path: /etc/envoy/certificate.yaml}}
      {{- end }}
{{- end }}

{{/* Matches requests that need no token: (dict "path" "/metrics" "methods" "GET"). */}}
{{- define "skyclass.envoyOpen" -}}
safe_regex: {regex: {{ .path | quote }}}
headers: [{name: ":method", string_match: {safe_regex: {regex: {{ .methods }}}}}]
{{- end }}

{{/* The predictor's port of a protocol, as a cluster. */}}
{{- define "skyclass.envoyPredictor" -}}
- name: {{ .name }}
  connect_timeout: 1s
  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: { {{- .options }}: {}}
      common_http_protocol_options: {idle_timeout: 30s} # shorter than the predictor's, so that Envoy closes first
  circuit_breakers: # the predictor has its own limits
    thresholds: [{max_connections: 65536, max_pending_requests: 65536, max_requests: 65536}]
  load_assignment:
    cluster_name: {{ .name }}
    endpoints:
      - lb_endpoints:
          - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: {{ .port }}}}}
{{- end }}

{{/* The server with the keys of an issuer, as a cluster: (dict "at" 0 "issuer" $issuer). */}}
{{- define "skyclass.envoyIssuer" -}}
{{- $url := urlParse .issuer.jwksUri -}}
{{- $host := regexReplaceAll ":[0-9]+$" $url.host "" -}}
- name: issuer-{{ .at }}
  type: STRICT_DNS
  dns_lookup_family: V4_PREFERRED
  load_assignment:
    cluster_name: issuer-{{ .at }}
    endpoints:
      - lb_endpoints:
          - endpoint:
              address:
                socket_address:
                  address: {{ $host }}
                  port_value: {{ regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default "443" }}
  transport_socket:
    name: envoy.transport_sockets.tls
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
      sni: {{ $host }}
      common_tls_context:
        validation_context:
          match_typed_subject_alt_names: [{san_type: DNS, matcher: {exact: {{ $host }}}}]
          {{- if .issuer.ca }}
          trusted_ca: {inline_string: {{ .issuer.ca | quote }}}
          {{- else }}
          trusted_ca: {filename: /etc/ssl/certs/ca-certificates.crt}
          {{- end }}
{{- end }}

{{/* The Secret with the certificate, which Envoy reads again when it changes. */}}
{{- define "skyclass.envoyCertificate" -}}
resources:
  - "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret
    name: endpoint
    tls_certificate:
      certificate_chain: {filename: /etc/envoy-tls/tls.crt}
      private_key: {filename: /etc/envoy-tls/tls.key}
      watched_directory: {path: /etc/envoy-tls}
{{- end }}

{{/* The container. Its volumes are `envoy` and, with TLS, `envoy-tls`. */}}
{{- define "skyclass.envoyContainer" -}}
{{- $access := .Values.access.endpoint -}}
name: envoy
image: {{ include "skyclass.image" (dict "root" . "image" .Values.images.envoy) }}
imagePullPolicy: {{ .Values.images.envoy.pullPolicy }}
command: [/usr/local/bin/envoy]
args: # Envoy does not accept `--name=value`
  - --config-path
  - /etc/envoy/envoy.yaml
  - --concurrency
  - "1"
  - --disable-hot-restart
  - --drain-strategy
  - immediate
  - --log-level
  - warning
terminationMessagePolicy: FallbackToLogsOnError
lifecycle:
  preStop: {sleep: {seconds: {{ include "skyclass.drainSeconds" . }}}}
resources:
  {{- toYaml $access.resources | nindent 2 }}
securityContext:
  {{- include "skyclass.containerSecurityContext" . | nindent 2 }}
volumeMounts:
  - {name: envoy, mountPath: /etc/envoy, readOnly: true}
  {{- if $access.tls.existingSecret }}
  - {name: envoy-tls, mountPath: /etc/envoy-tls, readOnly: true}
  {{- end }}
{{- end }}
