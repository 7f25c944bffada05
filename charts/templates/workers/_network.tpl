{{- /*
  kayan.anywhere         every address but link-local ones, where clouds hand out a node's credentials. Some network plug-ins do not count
                         pods among addresses, so both are named.
  kayan.egress.dns       the rule by which a pod may ask DNS
  kayan.egress           the rule by which it may reach a system of the settings, or the demo's     (dict "root" $ "system" "redis")
  kayan.ports.<system>   the ports that its settings name, separated by commas
  kayan.port             the port of a URL, or its ports where it names several hosts: the one it names, else its scheme's
*/ -}}
{{- define "kayan.anywhere" -}}
- namespaceSelector: {}
- ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}
- ipBlock: {cidr: "::/0", except: ["fe80::/10", "fd00:ec2::254/128"]}
{{- end }}

{{- /* Policies see the port of DNS's pods, which is 5353 on OpenShift. */ -}}
{{- define "kayan.egress.dns" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}, {port: 5353, protocol: UDP}, {port: 5353, protocol: TCP}]
{{- end }}

{{- define "kayan.egress" -}}
{{- $where := index .root.Values.networkPolicy .system }}
{{- if and (include "kayan.demo" .root) (ne .system "apiServer") }}
{{- with index (dict "redis" 6379 "database" 5432 "storage" 7070) .system }}
- ports: [{port: {{ . }}}]
  to:
    - podSelector:
        matchLabels: {{- include "kayan.selectorLabels" (dict "root" $.root "component" (index (dict "redis" "demo-redis" "database" "demo-postgres" "storage" "demo-s3") $.system)) | nindent 10 }}
{{- end }}
{{- else }}
- ports:
  {{- range uniq (concat (include (printf "kayan.ports.%s" .system) .root | splitList ",") ($where.ports | toStrings)) }}
    - {port: {{ . }}}
  {{- end }}
  to:
  {{- if $where.to }}
  {{- toYaml $where.to | nindent 4 }}
  {{- else }}
  {{- include "kayan.anywhere" .root | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "kayan.ports.redis" -}}
{{- $ports := list }}
{{- range .Values.redis.sentinel.hosts }}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default "26379") }}
{{- end }}
{{- if .Values.redis.url }}
{{- $ports = append $ports (include "kayan.port" (dict "url" .Values.redis.url "default" "6379")) }}
{{- else }}
{{- $ports = append $ports (toString (int .Values.redis.port)) }}
{{- end }}
{{- join "," $ports }}
{{- end }}

{{- define "kayan.ports.database" -}}
{{- include "kayan.port" (dict "url" .Values.database.url "default" "5432") }}
{{- end }}

{{- define "kayan.ports.storage" -}}
{{- /* 443 also where the store is another: the role of the pod comes from AWS's STS. */ -}}
{{- include "kayan.port" (dict "url" .Values.storage.endpoint "default" (ternary "80" "443" (hasPrefix "http://" (.Values.storage.endpoint | default "")))) }},443
{{- end }}

{{- define "kayan.ports.mail" -}}
{{- include "kayan.port" (dict "url" .Values.mail.endpoint "default" (ternary "80" "443" (hasPrefix "http://" (.Values.mail.endpoint | default "")))) }},443
{{- end }}

{{- /* Where a policy sees the Service `kubernetes` end, and the other ports of that are said in the values. */ -}}
{{- define "kayan.ports.apiServer" -}}
443,6443
{{- end }}

{{- define "kayan.port" -}}
{{- /* PostgreSQL's may say it as ?port= as well. */ -}}
{{- $hosts := regexFind "//[^/?#]+" (.url | default "") | regexFind "[^@]*$" }}
{{- $ports := regexFind "[?&]port=[0-9,]+" (.url | default "") | regexFind "[0-9,]*$" | splitList "," | compact }}
{{- if not $ports }}
{{- range splitList "," $hosts }}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default $.default) }}
{{- end }}
{{- end }}
{{- join "," $ports }}
{{- end }}
