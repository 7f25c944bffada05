{{- /*
  kayan.settings   what all pods are told in the open, by variable; secrets are files (secret.yaml). A pod carries the checksum of just this,
                   so that new settings make new pods, and a new version of the chart alone does not.
*/ -}}
{{- define "kayan.settings" -}}
{{- $demo := include "kayan.demo" . }}
{{- $stores := include "kayan.fullname" . }}
NODE_ENV: production
HEALTH_PORT: "8080"
LOG_LEVEL: {{ .Values.settings.logLevel | quote }}
LOG_FORMAT: {{ .Values.settings.logFormat | quote }}
KAYAN_BACKOFF: {{ .Values.settings.backoff | quote }}
LOCK_DURATION_MS: {{ .Values.settings.lockDurationMs | int | quote }}
STALLED_INTERVAL_MS: {{ .Values.settings.stalledIntervalMs | int | quote }}
MAX_STALLED_COUNT: {{ .Values.settings.maxStalledCount | int | quote }}
BULL_PREFIX: {{ .Values.redis.queuePrefix | quote }}
DATABASE_POOL_SIZE: {{ .Values.database.poolSize | int | quote }}
AWS_REGION: {{ .Values.aws.region | quote }}
EMAIL_FROM: {{ .Values.mail.from | quote }}
EMAIL_FROM_NAME: {{ .Values.mail.fromName | quote }}
KAYAN_MAIL_SUPPRESSION: {{ .Values.mail.suppression | quote }}
{{- with .Values.appUrl }}
NEXTAUTH_URL: {{ . | quote }}
{{- end }}
{{- with .Values.mail.region }}
AWS_SES_REGION: {{ . | quote }}
{{- end }}
{{- with .Values.mail.endpoint }}
AWS_ENDPOINT_URL_SES: {{ . | quote }}
{{- end }}
{{- if or $demo (eq .Values.mail.transport "outbox") }}
KAYAN_MAIL: outbox:/tmp/outbox
{{- end }}
{{- if $demo }}
KAYAN_NOTICE: >-
  Redis, PostgreSQL and the object store of this release are for trying out: they may lose everything at any moment, and mails go to a
  folder of the pod. Name real ones (redis.host, database.url, storage.bucket) before anybody relies on it.
REDIS_HOST: {{ $stores }}-demo-redis
AWS_S3_BUCKET: {{ .Values.demo.bucket | quote }}
AWS_ENDPOINT_URL_S3: http://{{ $stores }}-demo-s3:7070
AWS_CLOUDFRONT_URL: http://{{ $stores }}-demo-s3:7070/{{ .Values.demo.bucket }}
{{- else }}
{{- with .Values.redis.host }}
REDIS_HOST: {{ . | quote }}
REDIS_PORT: {{ $.Values.redis.port | int | quote }}
{{- end }}
{{- with .Values.redis.username }}
REDIS_USERNAME: {{ . | quote }}
{{- end }}
REDIS_DB: {{ .Values.redis.db | int | quote }}
{{- if .Values.redis.tls.enabled }}
REDIS_TLS: "true"
{{- end }}
{{- if .Values.redis.tls.secretName }}
REDIS_TLS_CA_FILE: /run/kayan/redis-tls/ca.crt
{{- if .Values.redis.tls.clientCertificate }}
REDIS_TLS_CERT_FILE: /run/kayan/redis-tls/tls.crt
REDIS_TLS_KEY_FILE: /run/kayan/redis-tls/tls.key
{{- end }}
{{- end }}
{{- with .Values.redis.sentinel.hosts }}
REDIS_SENTINELS: {{ join "," . | quote }}
REDIS_SENTINEL_MASTER: {{ $.Values.redis.sentinel.master | quote }}
{{- end }}
{{- if .Values.redis.cluster }}
REDIS_CLUSTER: "true"
{{- end }}
AWS_S3_BUCKET: {{ .Values.storage.bucket | quote }}
{{- with .Values.storage.endpoint }}
AWS_ENDPOINT_URL_S3: {{ . | quote }}
{{- end }}
{{- with .Values.storage.publicUrl }}
AWS_CLOUDFRONT_URL: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
