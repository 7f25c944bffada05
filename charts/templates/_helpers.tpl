{{- /*
Names and labels
  kayan.fullname          what every object's name starts with
  kayan.name              the chart's name in labels
  kayan.componentName     <fullname>-<component>, at most 63 characters        (dict "root" $ "component" "thumbnail")
  kayan.labels            all labels of an object                              (the same)
  kayan.podLabels         those of its pods                                    (the same, and "family": what its network policy goes by)
  kayan.selectorLabels    those that never change                              (dict "root" $ "component" "thumbnail")
  kayan.metadata          name, namespace, labels and annotations              (the same)
  kayan.serviceAccount    the name of a family's service account               (dict "root" $ "family" "media")
  kayan.image             the full reference of a family's image               (the same)

Decisions
  kayan.demo              "true" when the chart brings stores of its own
  kayan.workers           the enabled workers, each merged with workerDefaults, as YAML
  kayan.memoryLimit       the memory a worker needs at most, from its codec processes
  kayan.cloudMetadata     "true" when a family's pods may reach the cloud's metadata address

Pods
  kayan.podSecurity       the pod's security context
  kayan.containerSecurity the container's
  kayan.environment       what every container of ours is told
  kayan.secretVolume      the secrets as files, those of a family only         (dict "root" $ "family" "media")
  kayan.redisTlsVolume    certificates for Redis
*/ -}}

{{- define "kayan.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "kayan.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "kayan.name" . }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "kayan.componentName" -}}
{{- printf "%s-%s" (include "kayan.fullname" .root) .component | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "kayan.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kayan.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "kayan.labels" -}}
{{ include "kayan.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: kayan-live
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* A new version of the chart alone is no reason for new pods, so its labels are not on them. */ -}}
{{- define "kayan.podLabels" -}}
{{ include "kayan.selectorLabels" . }}
app.kubernetes.io/part-of: kayan-live
workers.kayanlive.com/family: {{ .family }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "kayan.metadata" -}}
name: {{ include "kayan.componentName" . }}
namespace: {{ .root.Release.Namespace }}
labels: {{- include "kayan.labels" . | nindent 2 }}
{{- with .root.Values.commonAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "kayan.serviceAccount" -}}
{{- $account := index .root.Values.serviceAccounts .family }}
{{- if $account.create }}
{{- $account.name | default (include "kayan.componentName" (dict "root" .root "component" .family)) }}
{{- else }}
{{- $account.name | default "default" }}
{{- end }}
{{- end }}

{{- define "kayan.image" -}}
{{- $image := index .root.Values.images .family }}
{{- $repository := list .root.Values.images.registry $image.repository | compact | join "/" }}
{{- if $image.digest }}
{{- printf "%s@%s" $repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $repository ($image.tag | default .root.Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- /* Which stores are named. A Secret of the user's holds DATABASE_URL; Redis and the bucket are named in the open. */ -}}
{{- define "kayan.redisNamed" -}}
{{- if or .Values.redis.host .Values.redis.url .Values.redis.urlInSecret .Values.redis.sentinel.hosts }}true{{ end }}
{{- end }}

{{- define "kayan.databaseNamed" -}}
{{- if or .Values.database.url .Values.secret.existingSecret .Values.secret.externalSecret.enabled }}true{{ end }}
{{- end }}

{{- define "kayan.demo" -}}
{{- $named := or (include "kayan.redisNamed" .) (include "kayan.databaseNamed" .) .Values.storage.bucket }}
{{- if or (eq (toString .Values.demo.enabled) "true") (and (eq (toString .Values.demo.enabled) "auto") (not $named)) }}true{{ end }}
{{- end }}

{{- define "kayan.workers" -}}
{{- $workers := dict }}
{{- range $name, $entry := .Values.workers }}
{{- $worker := mergeOverwrite (deepCopy $.Values.workerDefaults) (deepCopy ($entry | default dict)) }}
{{- if and $entry $worker.enabled }}
{{- $_ := set $workers $name $worker }}
{{- end }}
{{- end }}
{{- toYaml $workers }}
{{- end }}

{{- /* 120 MB for the worker; each codec process and its ffmpeg may ask for `memoryMb` beside 80 MB of their own. A tenth for the kernel's
       share. Kubernetes ends the whole container when it outgrows its limit, so the limit is what it may need, and not what it usually does. */ -}}
{{- define "kayan.memoryLimit" -}}
{{- $processes := int .codec.processes }}
{{- printf "%dMi" (div (mul (add 120 (mul $processes 2 (add 80 (int .codec.memoryMb)))) 11) 10) }}
{{- end }}

{{- define "kayan.cloudMetadata" -}}
{{- $choice := .root.Values.networkPolicy.cloudMetadata }}
{{- $annotations := (index .root.Values.serviceAccounts .family).annotations | default dict }}
{{- $bound := or (hasKey $annotations "iam.gke.io/gcp-service-account") (hasKey $annotations "azure.workload.identity/client-id") }}
{{- if or (eq $choice "allow") (and (eq $choice "auto") $bound) }}true{{ end }}
{{- end }}

{{- define "kayan.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "kayan.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "kayan.pullSecrets" -}}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kayan.environment" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: KAYAN_SETTINGS_DIR, value: /run/kayan/secrets}
{{- end }}

{{- define "kayan.secretName" -}}
{{- .Values.secret.existingSecret | default (include "kayan.fullname" .) }}
{{- end }}

{{- /* Files whose names are variables. `optional`: a Secret or key that is missing is named by the worker itself, in its first line. */ -}}
{{- define "kayan.secretVolume" -}}
{{- $variables := list "REDIS_URL" "REDIS_USERNAME" "REDIS_PASSWORD" "REDIS_SENTINEL_PASSWORD" }}
{{- if ne .family "commands" }}
{{- $variables = append $variables "DATABASE_URL" }}
{{- end }}
{{- if has .family (list "media" "messaging" "maintenance") }}
{{- $variables = concat $variables (list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN") }}
{{- end }}
- name: secrets
  secret:
    secretName: {{ include "kayan.secretName" .root }}
    optional: true
    defaultMode: 0440
    items:
    {{- range $variables }}
      - {key: {{ index $.root.Values.secret.keys . | default . | quote }}, path: {{ . }}}
    {{- end }}
{{- with .root.Values.redis.tls.secretName }}
- name: redis-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{- define "kayan.secretMounts" -}}
- {name: secrets, mountPath: /run/kayan/secrets, readOnly: true}
{{- if .Values.redis.tls.secretName }}
- {name: redis-tls, mountPath: /run/kayan/redis-tls, readOnly: true}
{{- end }}
{{- end }}
