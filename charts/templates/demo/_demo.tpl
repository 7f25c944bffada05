{{- /*
  kayan.demoPod        what the pods of the demo's stores have in common   (dict "root" $ "user" 999)
  kayan.demoPassword   the stores' password as a variable                 (dict "root" $ "variable" "POSTGRES_PASSWORD")
*/ -}}
{{- define "kayan.demoPod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 5
securityContext:
  runAsNonRoot: true
  runAsUser: {{ .user }}
  runAsGroup: {{ .user }}
  fsGroup: {{ .user }}
  seccompProfile: {type: RuntimeDefault}
{{- include "kayan.pullSecrets" .root }}
{{- end }}

{{- define "kayan.demoPassword" -}}
- name: {{ .variable }}
  valueFrom: {secretKeyRef: {name: {{ include "kayan.secretName" .root }}, key: DEMO_PASSWORD}}
{{- end }}
