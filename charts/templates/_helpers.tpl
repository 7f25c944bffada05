{{- /*
Names and labels
  kayan.fullname          what every object's name starts with
  kayan.name              the chart's name in labels
  kayan.componentName     <fullname>-<component>, at most 63 characters        (dict "root" $ "component" "thumbnail")
  kayan.cronJobName       <shortened>-<type>, as a CronJob's name has at most 52 characters     (dict "root" $ "type" "temp-files")
  kayan.shortened         a name that fits and is still nobody else's          (dict "name" $name "length" 40)
  kayan.labels            all labels of an object                              (dict "root" $ "component" "thumbnail", perhaps "extra" a map)
  kayan.podLabels         those of its pods                                    (the same, and "family": what its network policy goes by)
  kayan.selectorLabels    those that never change                              (dict "root" $ "component" "thumbnail")
  kayan.releaseLabels     those that every pod of the release has
  kayan.annotations       an object's annotations, where there are any         (dict "root" $, perhaps "extra" a map)
  kayan.metadata          name, namespace, labels and annotations              (dict "root" $ "component" …, perhaps "name", "labels", "annotations",
                                                                                "namespace" of another one, or "clusterWide" true for none)
  kayan.clusterWideName   <namespace>-<fullname>-<component>, for what lies in no namespace   (dict "root" $ "component" "operator")
  kayan.serviceAccount    the name of a family's service account               (dict "root" $ "family" "media")
  kayan.image             the full reference of a family's image               (the same)

Decisions
  kayan.demo              "true" when the chart brings stores of its own
  kayan.workers           the enabled workers, each merged with workerDefaults, as YAML
  kayan.roles             what each role is, as in processors/table.py, as YAML
  kayan.operator          "true" when the chart brings the operator
  kayan.scaled            those of kayan.workers that it scales, as YAML
  kayan.metricsApi        "true" when it serves the metrics that HorizontalPodAutoscalers read
  kayan.memoryLimit       the limit `auto`: what a worker needs at most          (an entry of kayan.workers)
  kayan.cloudMetadata     "true" when a family's pods may reach the cloud's metadata address

Pods
  kayan.podSecurity       the pod's security context                           (.Values.podSecurityContext)
  kayan.containerSecurity the container's
  kayan.environment       what every container of ours is told
  kayan.secretVolume      the secrets as files, those of a family only         (dict "root" $ "family" "media")
*/ -}}

{{- define "kayan.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "kayan.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "kayan.name" . }}
{{- include "kayan.shortened" (dict "name" (ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name)) "length" 40) }}
{{- end }}
{{- end }}

{{- /* Cutting alone would give two long releases of one namespace the same names. */ -}}
{{- define "kayan.shortened" -}}
{{- if gt (len .name) .length }}
{{- printf "%s-%s" (.name | trunc (int (sub .length 7)) | trimSuffix "-") (sha256sum .name | trunc 6) }}
{{- else }}
{{- .name }}
{{- end }}
{{- end }}

{{- define "kayan.cronJobName" -}}
{{- printf "%s-%s" (include "kayan.shortened" (dict "name" (include "kayan.fullname" .root) "length" 28)) .type }}
{{- end }}

{{- define "kayan.componentName" -}}
{{- printf "%s-%s" (include "kayan.fullname" .root) .component | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Labels and names are written by toYaml or quote: a release may be called 1e3, a worker `on`, which YAML takes for something else. */ -}}
{{- define "kayan.releaseLabels" -}}
app.kubernetes.io/name: {{ include "kayan.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "kayan.selectorLabels" -}}
{{ include "kayan.releaseLabels" .root }}
app.kubernetes.io/component: {{ .component | quote }}
{{- end }}

{{- /* Maps are merged and never written one after the other: a key that came twice is refused by strict readers. */ -}}
{{- define "kayan.labels" -}}
{{- $labels := include "kayan.selectorLabels" . | fromYaml }}
{{- $_ := set $labels "app.kubernetes.io/version" .root.Chart.AppVersion }}
{{- $_ := set $labels "app.kubernetes.io/part-of" "kayan-live" }}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") }}
{{- toYaml (mergeOverwrite $labels (deepCopy (.root.Values.commonLabels | default dict)) (deepCopy (.extra | default dict))) }}
{{- end }}

{{- /* A new version of the chart alone is no reason for new pods, so its labels are not on them. */ -}}
{{- define "kayan.podLabels" -}}
{{- $labels := include "kayan.selectorLabels" . | fromYaml }}
{{- $_ := set $labels "app.kubernetes.io/part-of" "kayan-live" }}
{{- $_ := set $labels "workers.kayanlive.com/family" .family }}
{{- toYaml (mergeOverwrite $labels (deepCopy (.root.Values.commonLabels | default dict)) (deepCopy (.extra | default dict))) }}
{{- end }}

{{- define "kayan.annotations" -}}
{{- with mergeOverwrite (deepCopy (.root.Values.commonAnnotations | default dict)) (deepCopy (.extra | default dict)) }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "kayan.metadata" -}}
name: {{ .name | default (include "kayan.componentName" .) | quote }}
{{- if not .clusterWide }}
namespace: {{ .namespace | default .root.Release.Namespace | quote }}
{{- end }}
labels: {{- include "kayan.labels" (dict "root" .root "component" .component "extra" .labels) | nindent 2 }}
{{- include "kayan.annotations" (dict "root" .root "extra" .annotations) }}
{{- end }}

{{- define "kayan.clusterWideName" -}}
{{- include "kayan.shortened" (dict "name" (printf "%s-%s" .root.Release.Namespace (include "kayan.componentName" .)) "length" 63) }}
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
{{- $repository := list (trimSuffix "/" (.root.Values.images.registry | default "")) $image.repository | compact | join "/" }}
{{- $tagged := list $repository $image.tag | compact | join ":" }}
{{- if $image.digest }}
{{- printf "%s@%s" $tagged $image.digest }}
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

{{- define "kayan.roles" -}}
asset: {family: media, queue: asset-processing, slots: 2, batch: 1}
thumbnail: {family: media, queue: thumbnail-generation, slots: 5, batch: 1}
variant: {family: media, queue: variant-generation, slots: 3, batch: 1}
email: {family: messaging, queue: email, slots: 10, batch: 1}
notification: {family: messaging, queue: notification, slots: 10, batch: 250}
analytics: {family: analytics, queue: analytics, slots: 5, batch: 500}
cleanup: {family: maintenance, queue: cleanup, slots: 1, batch: 1}
{{- end }}

{{- define "kayan.operator" -}}
{{- if eq (toString .Values.operator.enabled) "true" }}true{{ end }}
{{- end }}

{{- define "kayan.scaled" -}}
{{- $scaled := dict }}
{{- range $name, $worker := include "kayan.workers" . | fromYaml }}
{{- if and (include "kayan.operator" $) $worker.scaling.enabled }}
{{- if include "kayan.demo" $ }}
{{- $most := max (int64 $.Values.demo.maxReplicas) (int64 $worker.scaling.minReplicas) }}
{{- range $worker.scaling.schedule }}{{ $most = max $most (int64 .minReplicas) }}{{ end }}
{{- $_ := set $worker.scaling "maxReplicas" (min $most (int64 $worker.scaling.maxReplicas)) }}
{{- end }}
{{- $_ := set $scaled $name $worker }}
{{- end }}
{{- end }}
{{- toYaml $scaled }}
{{- end }}

{{- define "kayan.metricsApi" -}}
{{- if and (include "kayan.operator" .) .Values.operator.clusterRoles }}true{{ end }}
{{- end }}

{{- /* 120 MB for the worker; each codec process and its ffmpeg may ask for `memoryMb` beside 80 MB of their own. A tenth for the kernel's
       share. Kubernetes ends the whole container when it outgrows its limit, so the limit is what it may need, and not what it usually does. The others take 75 MB at full work, with the SDK of AWS 100. */ -}}
{{- define "kayan.memoryLimit" -}}
{{- if eq .family "media" }}
{{- printf "%dMi" (div (mul (add 120 (mul (int .codec.processes) 2 (add 80 (int .codec.memoryMb)))) 11) 10) }}
{{- else -}}
256Mi
{{- end }}
{{- end }}

{{- define "kayan.cloudMetadata" -}}
{{- $choice := .root.Values.networkPolicy.cloudMetadata }}
{{- $annotations := (index .root.Values.serviceAccounts .family).annotations | default dict }}
{{- $bound := hasKey $annotations "iam.gke.io/gcp-service-account" }}
{{- if or (eq $choice "allow") (and (eq $choice "auto") $bound) }}true{{ end }}
{{- end }}

{{- define "kayan.podSecurity" -}}
runAsNonRoot: true
{{- range $name, $id := . }}
{{ $name }}: {{ int64 $id }}
{{- end }}
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
  - name: {{ . | quote }}
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
{{- if not (has .family (list "commands" "operator")) }}
{{- $variables = append $variables "DATABASE_URL" }}
{{- end }}
{{- if has .family (list "media" "messaging" "maintenance") }}
{{- $variables = concat $variables (list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" "AWS_SESSION_TOKEN") }}
{{- end }}
- name: secrets
  secret:
    secretName: {{ include "kayan.secretName" .root | quote }}
    optional: true
    defaultMode: 0440
    items:
    {{- range $variables }}
      - {key: {{ get ($.root.Values.secret.keys | default dict) . | default . | quote }}, path: {{ . }}}
    {{- end }}
{{- with .root.Values.redis.tls.secretName }}
- name: redis-tls
  secret: {secretName: {{ . | quote }}, optional: true, defaultMode: 0440}
{{- end }}
{{- end }}

{{- define "kayan.secretMounts" -}}
- {name: secrets, mountPath: /run/kayan/secrets, readOnly: true}
{{- if .Values.redis.tls.secretName }}
- {name: redis-tls, mountPath: /run/kayan/redis-tls, readOnly: true}
{{- end }}
{{- end }}
