{{- /*
  kayan.workerEnvironment   what one worker is told beside the settings of all   (dict "root" $ "worker" $worker)
  kayan.ownEnvironment      the chart's part of that                             (the same)
  kayan.placement           where a pod may run, from an entry of values
*/ -}}
{{- /* A variable of extraEnv takes the place of the chart's own: a name that came twice is an error to Helm 4. */ -}}
{{- define "kayan.workerEnvironment" -}}
{{- $extra := .worker.extraEnv | default list }}
{{- $replaced := list }}
{{- range $extra }}{{ $replaced = append $replaced .name }}{{ end }}
{{- $variables := list }}
{{- range include "kayan.ownEnvironment" . | fromYamlArray }}
{{- if not (has .name $replaced) }}{{ $variables = append $variables . }}{{ end }}
{{- end }}
{{- toYaml (concat $variables $extra) }}
{{- end }}

{{- define "kayan.ownEnvironment" -}}
{{- $worker := .worker }}
{{- include "kayan.environment" .root }}
- {name: KAYAN_GRACE_SECONDS, value: {{ $worker.graceSeconds | int | quote }}}
{{- if eq $worker.family "media" }}
- {name: KAYAN_CODEC_PROCESSES, value: {{ $worker.codec.processes | int | quote }}}
- {name: KAYAN_CODEC_MEMORY_MB, value: {{ $worker.codec.memoryMb | int | quote }}}
{{- end }}
{{- range $role, $slots := $worker.concurrency }}
- {name: CONCURRENCY_{{ upper $role }}, value: {{ $slots | int | quote }}}
{{- end }}
{{- range $role, $seconds := $worker.timeoutSeconds }}
- {name: JOB_TIMEOUT_SECONDS_{{ upper $role }}, value: {{ $seconds | int | quote }}}
{{- end }}
{{- range $role, $rate := $worker.rateLimit }}
- {name: RATE_LIMIT_{{ upper $role }}, value: {{ $rate | quote }}}
{{- end }}
{{- if eq $worker.family "maintenance" }}
{{- range $type, $cleanup := .root.Values.cleanups.types }}
{{- if has $type (list "expired-external-links" "expired-invitations" "own-records" "orphaned-objects" "stuck-assets") }}
- {name: KAYAN_CLEANUP_{{ $type | upper | replace "-" "_" }}, value: {{ ternary "on" "off" $cleanup.enabled | quote }}}
{{- end }}
{{- end }}
{{- range $table, $days := .root.Values.cleanups.retentionDays }}
{{- if int $days }}
- {name: KAYAN_RETENTION_{{ $table | snakecase | upper }}_DAYS, value: {{ $days | int | quote }}}
{{- end }}
{{- end }}
{{- end }}
{{- if .root.Values.development.syncSources }}
- {name: PYTHONPATH, value: /source}
{{- end }}
{{- end }}

{{- define "kayan.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .hostAliases }}
hostAliases: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .dnsConfig }}
dnsConfig: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- end }}
