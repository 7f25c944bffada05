{{- /*
  kayan.operatorAlerts   what usually goes wrong with scaling, as rules of a group; charts/README.md has the same table. Each replica of the operator
                         tells what it knows, and only the leader's word counts.
*/ -}}
{{- define "kayan.operatorAlerts" -}}
{{- $runbook := .Values.monitoring.prometheusRule.runbookUrl }}
{{- $of := printf "namespace=%q, pod=~\"%s-.+\"" .Release.Namespace (include "kayan.operatorName" .) }}
{{- $leads := printf "and on (namespace, pod) kayan_operator_is_leader{%s} == 1" $of }}
{{- $kubectl := printf "kubectl --namespace %s" .Release.Namespace }}
{{- $pick := printf "--selector app.kubernetes.io/instance=%s,app.kubernetes.io/component=operator" .Release.Name }}
{{- $scaler := "{{ $labels.scaler }}" }}
{{- $server := "{{ $labels.server }}" }}
{{- $reason := "{{ $labels.reason }}" }}
{{- $number := "{{ $value | humanize }}" }}
{{- $duration := "{{ $value | humanizeDuration }}" }}
- alert: KayanNobodyScales
  expr: |
    (max by (namespace) (kayan_operator_is_leader{ {{- $of }}}) or absent(kayan_operator_is_leader{ {{- $of }}}) - 1) == 0
  for: 2m
  labels: {severity: critical}
  annotations:
    summary: Nobody scales the workers
    description: >-
      No pod of the operator leads: none runs, none gets hold of the Lease, or none is scraped. Workers stay as many as they are.
      What became of them: {{ $kubectl }} get pods,lease {{ $pick }}
    {{- include "kayan.runbook" (dict "url" $runbook "alert" "KayanNobodyScales") | nindent 4 }}

- alert: KayanScalingStale
  expr: |
    max by (namespace) (time() - kayan_operator_last_look_timestamp_seconds{ {{- $of }}} {{ $leads }}) > 120
  for: 2m
  labels: {severity: critical}
  annotations:
    summary: The operator has stopped looking
    description: >-
      The operator that leads last looked at the queues {{ $duration }} ago. Workers stay as many as they are.
      What it says: {{ $kubectl }} logs {{ $pick }} --prefix --tail 50
    {{- include "kayan.runbook" (dict "url" $runbook "alert" "KayanScalingStale") | nindent 4 }}

# What cannot be read is unknown and not zero: nothing is scaled down for it.
- alert: KayanOperatorRedisAway
  expr: |
    max by (namespace, server) (1 - kayan_operator_redis_up{ {{- $of }}} {{ $leads }}) > 0
  for: 2m
  labels: {severity: critical}
  annotations:
    summary: The operator gets no answer from Redis
    description: >-
      The Redis server {{ $server }} does not answer the operator, and whoever works on its queues keeps its number of pods.
      Why: {{ $kubectl }} get queuescalers --output wide
    {{- include "kayan.runbook" (dict "url" $runbook "alert" "KayanOperatorRedisAway") | nindent 4 }}

# Never, is the promise.
- alert: KayanScalingInterruptsJobs
  expr: |
    sum by (namespace, scaler) (increase(kayan_jobs_interrupted_by_scaling_total{ {{- $of }}}[1h])) > 0
  for: 1m
  labels: {severity: warning}
  annotations:
    summary: Scaling in has ended jobs of {{ $scaler }}
    description: >-
      About {{ $number }} jobs of {{ $scaler }} lost their pod to a smaller number of pods within an hour, and were begun again by others.
      Who changed the number: {{ $kubectl }} describe queuescaler {{ $scaler }}
    {{- include "kayan.runbook" (dict "url" $runbook "alert" "KayanScalingInterruptsJobs") | nindent 4 }}

# Half an hour: a burst may well be longer than a limit is high.
- alert: KayanScalingLimited
  expr: |
    max by (namespace, scaler, reason) (kayan_scaler_condition{ {{- $of }}, type="ScalingLimited", status="True"} {{ $leads }}) > 0
  for: 30m
  labels: {severity: warning}
  annotations:
    summary: There are fewer pods of {{ $scaler }} than its jobs deserve
    description: >-
      For half an hour {{ $reason }} has kept {{ $scaler }} from having as many pods as its jobs deserve.
      How many that would be: {{ $kubectl }} describe queuescaler {{ $scaler }}
    {{- include "kayan.runbook" (dict "url" $runbook "alert" "KayanScalingLimited") | nindent 4 }}
{{- end }}
