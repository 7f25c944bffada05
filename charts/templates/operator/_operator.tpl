{{- /*
  kayan.operatorName          what its Deployment, Service, Lease and the Secret of its certificate are called
  kayan.operatorEnvironment   what it is told: who it is, where Redis is, how to log
  kayan.operatorTargets       the Deployments of its own namespace that it may scale, as YAML
  kayan.apiServiceIsOurs      "true" when the APIService of external metrics is, or is to be, this release's
  kayan.redisVariables        what can be said of a Redis server, each as REDIS_…, separated by spaces
*/ -}}
{{- define "kayan.operatorName" -}}
{{- include "kayan.componentName" (dict "root" . "component" "operator") }}
{{- end }}

{{- define "kayan.redisVariables" -}}
REDIS_URL REDIS_HOST REDIS_PORT REDIS_USERNAME REDIS_PASSWORD REDIS_DB REDIS_TLS REDIS_SENTINELS REDIS_SENTINEL_MASTER REDIS_SENTINEL_PASSWORD REDIS_CLUSTER
{{- end }}

{{- /* Only what it reads, and not the ConfigMap of all: another bucket is no reason for new pods. A variable of extraEnv takes the place of the
       chart's own. */ -}}
{{- define "kayan.operatorEnvironment" -}}
{{- $operator := .Values.operator }}
{{- $settings := include "kayan.settings" . | fromYaml }}
{{- $own := dict "KAYAN_OPERATOR_NAME" (include "kayan.operatorName" .) "KAYAN_OPERATOR_METRICS_API" (include "kayan.metricsApi" . | default "false") "KAYAN_OPERATOR_METRICS_PORT" ($operator.metricsApi.port | int | toString) "KAYAN_OPERATOR_NAMESPACES" (prepend ($operator.namespaces | default list) .Release.Namespace | uniq | join ",") }}
{{- range $name, $value := $settings }}
{{- if or (hasPrefix "REDIS_" $name) (has $name (list "NODE_ENV" "HEALTH_PORT" "LOG_LEVEL" "LOG_FORMAT" "BULL_PREFIX")) }}
{{- $_ := set $own $name $value }}
{{- end }}
{{- end }}
{{- with $operator.logLevel }}{{ $_ := set $own "LOG_LEVEL" . }}{{ end }}
{{- $folders := list "/run/kayan/secrets" }}
{{- with $operator.moreRedis }}
{{- $_ := set $own "KAYAN_REDIS_SERVERS" (keys . | sortAlpha | join ",") }}
{{- range $name, $server := . }}
{{- $folders = append $folders (printf "/run/kayan/redis-%s" $name) }}
{{- if $server.tlsSecretName }}
{{- $_ := set $own (printf "KAYAN_REDIS_%s_TLS_CA_FILE" ($name | upper | replace "-" "_")) (printf "/run/kayan/redis-%s-tls/ca.crt" $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- $_ := set $own "KAYAN_SETTINGS_DIR" (join ":" $folders) }}
{{- $extra := $operator.extraEnv | default list }}
{{- $replaced := list }}
{{- range $extra }}{{ $replaced = append $replaced .name }}{{ end }}
{{- $variables := list }}
{{- range $name, $path := dict "POD_NAME" "metadata.name" "KAYAN_OPERATOR_NAMESPACE" "metadata.namespace" }}
{{- if not (has $name $replaced) }}
{{- $variables = append $variables (dict "name" $name "valueFrom" (dict "fieldRef" (dict "fieldPath" $path))) }}
{{- end }}
{{- end }}
{{- range $name, $value := $own }}
{{- if not (has $name $replaced) }}{{ $variables = append $variables (dict "name" $name "value" $value) }}{{ end }}
{{- end }}
{{- toYaml (concat $variables $extra) }}
{{- end }}

{{- define "kayan.operatorTargets" -}}
{{- $targets := list }}
{{- range $name := include "kayan.scaled" . | fromYaml | keys | sortAlpha }}
{{- $targets = append $targets (include "kayan.componentName" (dict "root" $ "component" $name)) }}
{{- end }}
{{- toYaml (concat $targets (.Values.operator.extraTargets | default list) | uniq) }}
{{- end }}

{{- /* Whose it is says Helm's own annotation. `helm template` may not look, and takes it for free. */ -}}
{{- define "kayan.apiServiceIsOurs" -}}
{{- $found := lookup "apiregistration.k8s.io/v1" "APIService" "" "v1beta1.external.metrics.k8s.io" | default dict }}
{{- $by := dig "metadata" "annotations" dict $found }}
{{- if or (not $found) (and (eq (get $by "meta.helm.sh/release-name") .Release.Name) (eq (get $by "meta.helm.sh/release-namespace") .Release.Namespace)) }}true{{ end }}
{{- end }}
