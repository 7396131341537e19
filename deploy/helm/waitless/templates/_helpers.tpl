{{- define "waitless.labels" -}}
app.kubernetes.io/name: waitless
app.kubernetes.io/component: {{ .component }}
{{- with .lane }}
waitless/lane: {{ . }}
{{- end }}
{{- end }}

{{- define "waitless.metadataLabels" -}}
app.kubernetes.io/part-of: waitless
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "waitless.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "waitless.jobSuffix" -}}
{{ .Values.image.tag | default .Chart.AppVersion | lower | replace "." "-" | replace "_" "-" | replace "+" "-" | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "waitless.config" -}}
{{ .Values.config | default (.Files.Get "files/waitless.toml") }}
{{- end }}

{{- define "waitless.catalogueName" -}}
{{ .Values.catalogue.existing | default "waitless-catalogue" }}
{{- end }}

{{- define "waitless.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "waitless.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "waitless.pull" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
What a service's pod is: `root`, `name`, `component`, `lane`, `command`, `spec` (its values), `zones`, `env` and `secrets` of its own beside
those of all, `metrics` and `sources`; `cost`: it says to Kubernetes what it costs to be ended; `restart`: where it is not to start again.
*/}}
{{- define "waitless.pod" -}}
{{- $root := .root }}
{{- if .restart }}
restartPolicy: {{ .restart }}
{{- end }}
{{- if .cost }}
serviceAccountName: report-worker
automountServiceAccountToken: true
{{- else }}
serviceAccountName: waitless
automountServiceAccountToken: false
{{- end }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .spec.terminationGracePeriodSeconds }}
{{- include "waitless.pull" $root | nindent 0 }}
securityContext:
  {{- include "waitless.podSecurity" . | nindent 2 }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: {{ .zones }}
    labelSelector:
      matchLabels:
        {{- include "waitless.labels" . | nindent 8 }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "waitless.labels" . | nindent 8 }}
containers:
  - name: {{ .component }}
    image: {{ include "waitless.image" $root }}
    {{- with $root.Values.image.pullPolicy }}
    imagePullPolicy: {{ . }}
    {{- end }}
    command: [{{ .command }}]
    env:
      - { name: WAITLESS_CONFIG, value: /etc/waitless/config/waitless.toml }
      - { name: WAITLESS_SERVICE__LINK_SECRET_FILE, value: /etc/waitless/secrets/link-secret }
      - { name: WAITLESS_DATABASE__URL_FILE, value: /etc/waitless/secrets/database-url }
      - { name: WAITLESS_BROKER__URL_FILE, value: /etc/waitless/secrets/broker-url }
      - { name: WAITLESS_STORAGE__ACCESS_KEY_ID_FILE, value: /etc/waitless/secrets/storage-access-key-id }
      - { name: WAITLESS_STORAGE__SECRET_ACCESS_KEY_FILE, value: /etc/waitless/secrets/storage-secret-access-key }
      {{- range .env }}
      - { name: {{ index . 0 }}, value: {{ index . 1 | quote }} }
      {{- end }}
      {{- if .cost }}
      - { name: WAITLESS_WORKER__POD, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
      {{- end }}
      {{- if $root.Values.postgres.enabled }}
      - { name: WAITLESS_DATABASE__CA_FILE, value: /etc/waitless/database-ca/ca.crt }
      {{- end }}
      {{- if $root.Values.rabbitmq.enabled }}
      - { name: WAITLESS_BROKER__CA_FILE, value: /etc/waitless/broker-ca/ca.crt }
      {{- end }}
    ports:
      - { name: http, containerPort: 8080 }
      {{- if .metrics }}
      - { name: metrics, containerPort: 9464 }
      {{- end }}
    {{- if eq .component "gateway" }}
    # It goes on serving while every node and balancer learns that it goes: here, and for `http.close_after` once it is told.
    lifecycle:
      preStop:
        sleep: { seconds: 5 }
    {{- end }}
    # Only ever fails when the process itself is stuck; a broken database must not restart everything.
    livenessProbe:
      httpGet: { path: /livez, port: http }
      periodSeconds: 10
      timeoutSeconds: 5
      failureThreshold: 6
    readinessProbe:
      httpGet: { path: /readyz, port: http }
      periodSeconds: 5
      timeoutSeconds: 5
      failureThreshold: 2
    startupProbe:
      httpGet: { path: /livez, port: http }
      periodSeconds: 1
      failureThreshold: 60
    resources:
      {{- toYaml .spec.resources | nindent 6 }}
    securityContext:
      {{- include "waitless.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - { name: config, mountPath: /etc/waitless/config, readOnly: true }
      - { name: catalogue, mountPath: /etc/waitless/catalogue, readOnly: true }
      - { name: secrets, mountPath: /etc/waitless/secrets, readOnly: true }
      {{- if .sources }}
      - { name: sources, mountPath: /etc/waitless/sources, readOnly: true }
      {{- end }}
      - { name: scratch, mountPath: /tmp }
      {{- if $root.Values.postgres.enabled }}
      - { name: database-ca, mountPath: /etc/waitless/database-ca, readOnly: true }
      {{- end }}
      {{- if $root.Values.rabbitmq.enabled }}
      - { name: broker-ca, mountPath: /etc/waitless/broker-ca, readOnly: true }
      {{- end }}
volumes:
  - name: config
    configMap: { name: waitless-config }
  - name: catalogue
    configMap: { name: {{ include "waitless.catalogueName" $root }} }
  # No more of it than this process needs.
  - name: secrets
    secret:
      secretName: {{ $root.Values.secrets.name }}
      defaultMode: 0440
      items:
        {{- range concat (list "link-secret" "database-url" "broker-url" "storage-access-key-id" "storage-secret-access-key") .secrets }}
        - { key: {{ . }}, path: {{ . }} }
        {{- end }}
  {{- if .sources }}
  - name: sources
    secret: { secretName: {{ $root.Values.secrets.sources }}, defaultMode: 0440 }
  {{- end }}
  - name: scratch
    emptyDir: { sizeLimit: 256Mi }
  {{- if $root.Values.postgres.enabled }}
  - name: database-ca
    secret: { secretName: waitless-postgres-ca, items: [{ key: ca.crt, path: ca.crt }] }
  {{- end }}
  {{- if $root.Values.rabbitmq.enabled }}
  - name: broker-ca
    secret: { secretName: {{ $root.Values.rabbitmq.tlsSecret }}, items: [{ key: ca.crt, path: ca.crt }] }
  {{- end }}
{{- end }}

{{/* One deployment, of what `waitless.pod` takes. */}}
{{- define "waitless.deployment" -}}
{{- $root := .root }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  labels:
    {{- include "waitless.labels" . | nindent 4 }}
    {{- include "waitless.metadataLabels" $root | nindent 4 }}
spec:
  {{- if not $root.Values.autoscaling.enabled }}
  replicas: {{ .spec.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "waitless.labels" . | nindent 6 }}
  strategy:
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  template:
    metadata:
      labels:
        {{- include "waitless.labels" . | nindent 8 }}
      annotations:
        # A changed configuration restarts what reads it; a changed catalogue is picked up by the running processes.
        checksum/config: {{ include "waitless.config" $root | sha256sum }}
    spec:
      {{- include "waitless.pod" . | nindent 6 }}
{{- end }}

{{/* One lane as jobs of KEDA, of what `waitless.pod` takes. KEDA starts a worker for each job that has none, and never stops one. */}}
{{- define "waitless.scaledJob" -}}
{{- $root := .root }}
apiVersion: keda.sh/v1alpha1
kind: ScaledJob
metadata:
  name: {{ .name }}
  labels:
    {{- include "waitless.metadataLabels" $root | nindent 4 }}
spec:
  pollingInterval: {{ .spec.pollingInterval }}
  minReplicaCount: {{ .spec.minReplicas }}
  maxReplicaCount: {{ .spec.maxReplicas }}
  successfulJobsHistoryLimit: 1
  failedJobsHistoryLimit: 3
  # What runs stays when this changes.
  rollout: { strategy: gradual }
  # As many as there are jobs, waiting or running, less the workers that are there.
  scalingStrategy: { strategy: default }
  triggers:
    - type: metrics-api
      metadata:
        url: http://gateway.{{ $root.Release.Namespace }}.svc/v1/admin/backlog
        valueLocation: lanes.{{ .lane }}.depth
        targetValue: "1"
        activationTargetValue: "0"
        authMode: bearer
      authenticationRef: { name: waitless-backlog }
  jobTargetRef:
    parallelism: 1
    completions: 1
    # A worker that is lost loses its job to another one; nothing is gained by starting this one anew.
    backoffLimit: 0
    ttlSecondsAfterFinished: 300
    template:
      metadata:
        labels:
          {{- include "waitless.labels" . | nindent 10 }}
        annotations:
          # Nodes that are emptied to save money wait for it.
          cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
      spec:
        {{- include "waitless.pod" . | nindent 8 }}
{{- end }}

{{/*
One job on the database: `root`, `name`, `component`, `command` (a list), `hooks`, `weight`, `autoscaling` (whether it reads that secret). Without
hooks it is an object like others, and cannot be changed: its name changes with what it is made of.
*/}}
{{- define "waitless.job" -}}
{{- $root := .root }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .name }}-{{ include "waitless.jobSuffix" $root }}{{ if not .hooks }}-{{ toJson (list $root.Values.image $root.Values.secrets) | sha256sum | trunc 6 }}{{ end }}
  labels:
    {{- include "waitless.labels" . | nindent 4 }}
    {{- include "waitless.metadataLabels" $root | nindent 4 }}
  {{- if .hooks }}
  annotations:
    helm.sh/hook: {{ .hooks }}
    helm.sh/hook-weight: {{ .weight | quote }}
    helm.sh/hook-delete-policy: before-hook-creation
  {{- end }}
spec:
  backoffLimit: 10
  activeDeadlineSeconds: 900
  ttlSecondsAfterFinished: 300
  template:
    metadata:
      labels:
        {{- include "waitless.labels" . | nindent 8 }}
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      enableServiceLinks: false
      {{- include "waitless.pull" $root | nindent 6 }}
      securityContext:
        {{- include "waitless.podSecurity" . | nindent 8 }}
      containers:
        - name: {{ .component }}
          image: {{ include "waitless.image" $root }}
          {{- with $root.Values.image.pullPolicy }}
          imagePullPolicy: {{ . }}
          {{- end }}
          command:
            {{- toYaml .command | nindent 12 }}
          env:
            - { name: WAITLESS_SERVICE__MODE, value: production }
            - { name: WAITLESS_DATABASE__URL_FILE, value: /etc/waitless/secrets/database-url }
            {{- if $root.Values.postgres.enabled }}
            - { name: WAITLESS_DATABASE__CA_FILE, value: /etc/waitless/database-ca/ca.crt }
            {{- end }}
          resources:
            requests: { cpu: 50m, memory: 32Mi }
            limits: { memory: 128Mi }
          securityContext:
            {{- include "waitless.containerSecurity" . | nindent 12 }}
          volumeMounts:
            - { name: secrets, mountPath: /etc/waitless/secrets, readOnly: true }
            {{- if .autoscaling }}
            - { name: autoscaling, mountPath: /etc/waitless/autoscaling, readOnly: true }
            {{- end }}
            - { name: scratch, mountPath: /tmp }
            {{- if $root.Values.postgres.enabled }}
            - { name: database-ca, mountPath: /etc/waitless/database-ca, readOnly: true }
            {{- end }}
      volumes:
        - name: secrets
          secret:
            secretName: {{ $root.Values.secrets.name }}
            defaultMode: 0440
            items:
              - { key: database-url, path: database-url }
        {{- if .autoscaling }}
        - name: autoscaling
          secret: { secretName: {{ $root.Values.secrets.autoscaling }}, defaultMode: 0440 }
        {{- end }}
        - name: scratch
          emptyDir: { sizeLimit: 16Mi }
        {{- if $root.Values.postgres.enabled }}
        - name: database-ca
          secret: { secretName: waitless-postgres-ca, items: [{ key: ca.crt, path: ca.crt }] }
        {{- end }}
{{- end }}

{{/* One KEDA object: `root`, `name`, `spec`, `location`, `target`. */}}
{{- define "waitless.scaledObject" -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ .name }}
  labels:
    {{- include "waitless.metadataLabels" .root | nindent 4 }}
spec:
  scaleTargetRef: { kind: Deployment, name: {{ .name }} }
  pollingInterval: {{ .spec.pollingInterval }}
  # From any number to none, once there was nothing to do for so long; between other numbers the behaviour below decides.
  cooldownPeriod: {{ .spec.cooldownPeriod }}
  minReplicaCount: {{ .spec.minReplicas }}
  maxReplicaCount: {{ .spec.maxReplicas }}
  # When no gateway can be asked, nothing is scaled away.
  fallback: { failureThreshold: 3, replicas: {{ .spec.fallbackReplicas }}, behavior: currentReplicasIfHigher }
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        scaleUp:
          stabilizationWindowSeconds: 0
          policies: [{ type: Percent, value: 100, periodSeconds: 15 }, { type: Pods, value: 4, periodSeconds: 15 }]
        scaleDown:
          stabilizationWindowSeconds: {{ .spec.stabilizationWindowSeconds }}
          policies: [{ type: Pods, value: 1, periodSeconds: {{ .spec.scaleDownPeriodSeconds }} }]
  triggers:
    - type: metrics-api
      metadata:
        url: http://gateway.{{ .root.Release.Namespace }}.svc/v1/admin/backlog
        valueLocation: {{ .location }}
        targetValue: {{ .target | quote }}
        activationTargetValue: "0"
        authMode: bearer
      authenticationRef: { name: waitless-backlog }
{{- end }}
