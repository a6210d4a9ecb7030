{{/*
The login of the web applications: an oauth2-proxy in front of the page, in the same pod. The page listens on
loopback for it, and at another port for kubelet and Prometheus, which do not log in.
*/}}
{{- define "skyclass.loopbackPort" -}}9000{{- end }}
{{- define "skyclass.probePort" -}}9001{{- end }}

{{/* Arguments with which a page listens: (dict "root" $ "component" "monitor" "port" 8000). */}}
{{- define "skyclass.listenArguments" -}}
{{- if not .root.Values.access.pages.enabled -}}
{{ list "--host" "0.0.0.0" "--port" (toString .port) | toJson }}
{{- else -}}
{{ list "--host" "127.0.0.1" "--port" (include "skyclass.loopbackPort" .) "--probe-port" (include "skyclass.probePort" .) "--login" | toJson }}
{{- end -}}
{{- end }}

{{/*
Container of oauth2-proxy, with the arguments of skyclass.webApplication:
  component, page, name   the page's component, its section of the values and that section's name
  port                    port to listen on
  apiRoutes               regular expression of the paths below the prefix that no person navigates to: without
                          a login they are answered with 401 instead of a redirect to the provider
*/}}
{{- define "skyclass.loginProxy" -}}
{{- $oidc := .root.Values.access.pages.oidc -}}
{{- range $name := list "issuerUrl" "existingSecret" -}}
{{- if not (get $oidc $name) }}{{ fail (printf "access.pages.oidc.%s is empty: the login of the pages needs it" $name) }}{{ end -}}
{{- end -}}
{{- if not (or $oidc.allowedGroups $oidc.emailDomains) -}}
{{- fail "access.pages.oidc admits nobody: set allowedGroups or emailDomains" -}}
{{- end -}}
{{- if not .page.url }}{{ fail (printf "%s.url is empty: the login needs the public URL of the page" .name) }}{{ end -}}
{{- $url := urlParse .page.url -}}
{{- if ne (trimSuffix "/" $url.path) .page.rootPath -}}
{{- fail (printf "%s.url is %s, %s.rootPath is %q: give both the same path" .name .page.url .name .page.rootPath) -}}
{{- end -}}
{{- $isSecure := eq $url.scheme "https" -}}
- name: login
  image: {{ include "skyclass.image" (dict "root" .root "image" .root.Values.images.oauth2Proxy) }}
  imagePullPolicy: {{ .root.Values.images.oauth2Proxy.pullPolicy }}
  args:
    - --http-address=0.0.0.0:{{ .port }}
    - --upstream=http://127.0.0.1:{{ include "skyclass.loopbackPort" . }}/
    - --proxy-prefix={{ .page.rootPath }}/oauth2
    - --provider=oidc
    - {{ printf "--oidc-issuer-url=%s" $oidc.issuerUrl | quote }}
    - {{ printf "--redirect-url=%s/oauth2/callback" (trimSuffix "/" .page.url) | quote }}
    - {{ printf "--scope=%s" (join " " $oidc.scopes) | quote }}
    - {{ printf "--oidc-groups-claim=%s" $oidc.groupsClaim | quote }}
    {{- range $oidc.allowedGroups }}
    - {{ printf "--allowed-group=%s" . | quote }}
    {{- end }}
    {{- range $oidc.emailDomains | default (list "*") }}
    - {{ printf "--email-domain=%s" . | quote }}
    {{- end }}
    {{- if $oidc.existingCASecret }}
    - --provider-ca-file=/etc/oidc/ca.crt
    {{- end }}
    {{- with $oidc.logoutUrl }}
    - {{ printf "--backend-logout-url=%s" . | quote }}
    {{- end }}
    - --code-challenge-method=S256
    - --insecure-oidc-skip-nonce=false
    - --skip-provider-button
    - {{ printf "--api-route=^%s/%s" .page.rootPath .apiRoutes | quote }}
    # A browser accepts __Host- only from this host itself, with https.
    - --cookie-name={{ $isSecure | ternary "__Host-" "" }}skyclass-{{ .component }}
    - --cookie-secure={{ $isSecure }}
    - --cookie-samesite=lax
    - --cookie-expire=12h
    - --cookie-refresh=1h
    - --cookie-csrf-per-request
    - --cookie-csrf-per-request-limit=5
    - --exclude-logging-path={{ .page.rootPath }}/oauth2/callback # its query has the authorization code
    - --silence-ping-logging
    - --footer=-
  env:
    {{- range $key := list "client-id" "client-secret" "cookie-secret" }}
    - name: OAUTH2_PROXY_{{ $key | upper | replace "-" "_" }}
      valueFrom: {secretKeyRef: {name: {{ $oidc.existingSecret }}, key: {{ $key }}}}
    {{- end }}
  ports:
    - {name: http, containerPort: {{ .port }}, protocol: TCP}
  startupProbe:
    httpGet: {path: /ping, port: http}
    periodSeconds: 2
    failureThreshold: 30
  readinessProbe:
    httpGet: {path: /ping, port: http}
    periodSeconds: 5
  livenessProbe:
    httpGet: {path: /ping, port: http}
    periodSeconds: 15
  resources:
    {{- toYaml .root.Values.access.pages.resources | nindent 4 }}
  securityContext:
    {{- include "skyclass.containerSecurityContext" . | nindent 4 }}
  {{- if $oidc.existingCASecret }}
  volumeMounts:
    - {name: oidc, mountPath: /etc/oidc, readOnly: true}
  {{- end }}
{{- end }}
