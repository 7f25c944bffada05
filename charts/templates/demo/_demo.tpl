{{- /*
  kayan.demoPod                 what the pods of the demo's stores have in common   (dict "root" $, perhaps "user" 999)
  kayan.demoImage               a store's image, out of images.registry unless it names one itself     (dict "root" $ "image" "redis:7")
  kayan.demoAnnotations         their annotations: a new password, or new tables, make all stores new, as empty as any that restarted
  kayan.demoPassword            the stores' password
  kayan.demoPasswordVariable    the same as a variable                             (dict "root" $ "variable" "POSTGRES_PASSWORD")
*/ -}}
{{- /* Kept over upgrades, as long as Helm may look into the cluster; `helm template` may not, and makes a new one each time. Drawn once for all
       templates. */ -}}
{{- define "kayan.demoPassword" -}}
{{- if not (hasKey .Values.demo "drawnPassword") }}
{{- $old := dig "data" dict (lookup "v1" "Secret" .Release.Namespace (include "kayan.secretName" .) | default dict) }}
{{- $_ := set .Values.demo "drawnPassword" (index $old "DEMO_PASSWORD" | default "" | b64dec | default (randAlphaNum 24)) }}
{{- end }}
{{- .Values.demo.drawnPassword }}
{{- end }}

{{- define "kayan.demoAnnotations" -}}
checksum/password: {{ include "kayan.demoPassword" . | sha256sum }}
checksum/tables: {{ include "kayan.image" (dict "root" . "family" "media") | sha256sum }}
{{- end }}

{{- /* Whoever must be a certain user is it only where the values name users at all: else the platform says who runs what. */ -}}
{{- define "kayan.demoPod" -}}
{{- $ids := dict }}
{{- range $name, $id := .root.Values.podSecurityContext }}{{ $_ := set $ids $name ($.user | default $id) }}{{ end }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: 5
securityContext: {{- include "kayan.podSecurity" $ids | nindent 2 }}
{{- include "kayan.pullSecrets" .root }}
{{- end }}

{{- define "kayan.demoImage" -}}
{{- $registry := regexMatch "^([^/]*[.:][^/]*|localhost)/" .image | ternary "" (.root.Values.images.registry | default "") }}
{{- list (trimSuffix "/" $registry) .image | compact | join "/" }}
{{- end }}

{{- define "kayan.demoPasswordVariable" -}}
- name: {{ .variable }}
  valueFrom: {secretKeyRef: {name: {{ include "kayan.secretName" .root | quote }}, key: DEMO_PASSWORD}}
{{- end }}
